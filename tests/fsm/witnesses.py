"""Situations for every cell of the specification: each guard has knobs whose positions make it true and false."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

from builders import LONG_UP, NO_VOLUME, NOW, ONE_DISK, answer, job, span
from msgspec.structs import replace

from fsm.decision import Decision
from fsm.evidence import Evidence
from fsm.facts import Asked, JobFacts, Situation, VmFacts
from fsm.machine import decide
from fsm.memory import DiskMemory, Memory, Still, Streak
from fsm.policy import DEFAULT_POLICY
from fsm.progress import absorb
from fsm.spec import Edge, edges
from fsm.states import ENDED, VMA_EVENTS, Asker, Ending, Event, State, Verdict

Values = dict[str, Any]
Cell = tuple[State | None, Event]


@dataclass(frozen=True)
class Knob:
    """One thing that a guard looks at: positions of values for facts, memory, evidence or the asking."""

    facts: tuple[Values, ...] = ({},)
    memory: tuple[Values, ...] = ({},)
    asking: tuple[Values, ...] = ({},)
    evidence: tuple[Values, ...] = ({},)

    def positions(self) -> Iterator["Position"]:
        """All positions of the knob."""
        for facts, memory, asking, evidence in itertools.product(self.facts, self.memory, self.asking, self.evidence):
            yield Position(facts, memory, asking, evidence)


@dataclass(frozen=True)
class Position:
    """One position of one knob, or of all knobs together."""

    facts: Values = field(default_factory=dict)
    memory: Values = field(default_factory=dict)
    asking: Values = field(default_factory=dict)
    evidence: Values = field(default_factory=dict)

    def __or__(self, other: "Position") -> "Position":
        return Position(
            self.facts | other.facts,
            self.memory | other.memory,
            self.asking | other.asking,
            self.evidence | other.evidence,
        )


def _aged(*ages: str) -> tuple[Values, ...]:
    return tuple({"entered_at": NOW - span(a), "created_at": NOW - span(a)} for a in ages)


def _streak(count: int, seconds: float) -> Streak:
    """A streak that will have `count` answers over `seconds` once the present one is counted."""
    up = LONG_UP.uptime(NOW)
    return Streak(NOW - timedelta(seconds=seconds), LONG_UP.name, up - seconds, up - 5, count - 1)


def _still(age: str) -> Still:
    return Still(NOW - span(age), None, None)


DISKS = Knob(facts=({"disks": ()}, {"disks": NO_VOLUME}, {"disks": ONE_DISK}))
TAKEN = Knob(facts=({"vm_taken": False}, {"vm_taken": True}))
ENDING = Knob(facts=tuple({"ending": e} for e in Ending))
ENDED_FROM = Knob(memory=({"ended_from": State.ATTACHING}, {"ended_from": State.REPLICATING}))
VM = Knob(
    asking=tuple(
        {"vm": vm}
        for vm in (
            VmFacts(),
            VmFacts(unfinished_job="job-old"),
            VmFacts(watched_job="job-old"),
            *(VmFacts(watched_job="job-old", watched_verdict=v) for v in Verdict),
        )
    )
)
WATCHED = Knob(
    facts=({"watched": True}, {"watched": False}), memory=({"watched_seconds": 0.0}, {"watched_seconds": 1e5})
)
ABSENCE = Knob(memory=({"not_found": None}, {"not_found": _streak(3, 59.9)}, {"not_found": _streak(3, 60)}))
OUTAGE = Knob(memory=({"unreachable": None}, {"unreachable": _streak(2, 60)}, {"unreachable": _streak(3, 60)}))
POLLED = Knob(facts=({"polling_since": NOW - span("29s")}, {"polling_since": NOW - span("30s")}))
SEEN = Knob(facts=({"heard_at": None}, {"heard_at": NOW - span("1d")}))
ENTERED = Knob(facts=_aged("1:59", "2:00", "4:59", "5:00", "29:59", "30:00"))
PERCENT = Knob(facts=tuple({"percent": p} for p in (89.9, 90.0, 90.1)))
OWN_KEY = Knob(evidence=({"own_key_completed": False}, {"own_key_completed": True}))
SETTLING = Knob(memory=({"settling": _still("14:59")}, {"settling": _still("15:00")}))
UNFINISHED = Knob(memory=({"disks": ()}, {"disks": (DiskMemory("disk-2000", unfinished=True),)}))
GARBLED = Knob(memory=tuple({"unintelligible_since": NOW - span(a)} for a in ("29:59", "30:00")))
WHO = Knob(
    asking=tuple(
        {"asked": Asked(by, actor, reason)} for by in Asker for actor in (None, "anna") for reason in (None, "a reason")
    )
)

KNOBS: dict[str, tuple[Knob, ...]] = {
    "has_disks": (DISKS,),
    "volumes_recorded": (DISKS,),
    "vm_not_taken": (TAKEN,),
    "vm_taken": (TAKEN,),
    "inferred": (ENDING,),
    "revisable": (ENDING,),
    "ended_in_setup": (ENDED_FROM,),
    "vm_idle": (VM,),
    "last_copy_over": (VM,),
    "watch_open": (WATCHED,),
    "not_watched": (WATCHED,),
    "watch_spent": (WATCHED,),
    "under_watch": (WATCHED,),
    "lost": (ABSENCE, POLLED, SEEN, ENTERED),
    "not_lost": (ABSENCE, POLLED, SEEN, ENTERED),
    "nearly_done": (PERCENT,),
    "not_nearly_done": (PERCENT,),
    "setup_timed_out": (ENTERED,),
    "in_setup_grace": (ENTERED,),
    "given_up": (OUTAGE, ENTERED),
    "not_given_up": (OUTAGE, ENTERED),
    "own_key_completed": (OWN_KEY,),
    "own_key_not_completed": (OWN_KEY,),
    "settled": (SETTLING,),
    "not_settled": (SETTLING,),
    "likely_complete": (PERCENT, OWN_KEY, UNFINISHED),
    "not_likely_complete": (PERCENT, OWN_KEY, UNFINISHED),
    "garbled_too_long": (GARBLED,),
    "not_garbled_too_long": (GARBLED,),
    "by_operator": (WHO,),
    "by_workflow": (WHO,),
    "has_reason": (WHO,),
}


@dataclass(frozen=True)
class Witness:
    """One situation in one cell, and what came of it."""

    cell: Cell
    facts: JobFacts
    evidence: Evidence | None
    decision: Decision

    @property
    def situation(self) -> Situation:
        """What the guards saw."""
        seen = self.facts if self.evidence is None else absorb(self.facts, self.evidence)
        return Situation(seen, self.evidence, self.decision.asked, NOW, DEFAULT_POLICY, self.vm)

    vm: VmFacts = field(default_factory=VmFacts)

    def passing(self) -> list[Edge]:
        """All edges of the cell whose guards all pass."""
        return [e for e in edges(*self.cell) if all(g(self.situation).passed for g in e.guards)]


def cells() -> list[Cell]:
    """Every pair of state and event; a job comes into being from None, and only once."""
    return [(None, Event.CREATE), *itertools.product(State, Event)]


@cache
def witnesses(cell: Cell) -> tuple[Witness, ...]:
    """Every combination of the knobs of the cell's guards."""
    return tuple(_witness(cell, position) for position in _positions(cell))


def _positions(cell: Cell) -> Iterator[Position]:
    guards = dict.fromkeys(g.name for e in edges(*cell) for g in e.guards)
    knobs = dict.fromkeys(id(k) for name in guards for k in KNOBS[name])
    used = [k for k in _ALL if id(k) in knobs]
    for turned in itertools.product(*(tuple(k.positions()) for k in used)):
        position = Position()
        for p in turned:
            position = position | p
        yield position


_ALL = tuple({id(k): k for ks in KNOBS.values() for k in ks}.values())


def _witness(cell: Cell, position: Position) -> Witness:
    state, event = cell
    over = state in ENDED
    facts = job(
        state or State.INITIALIZING, ending=Ending.INFERRED if over else None, version=0 if state is None else 7
    )
    facts = replace(facts, memory=Memory(**position.memory), **position.facts)
    carries = event in VMA_EVENTS
    evidence = answer(event.value.removeprefix("vma_"), **position.evidence) if carries else None
    asked = position.asking.get("asked", Asked(Asker.POLL if carries else Asker.WORKFLOW))
    vm = position.asking.get("vm", VmFacts())
    return Witness(cell, facts, evidence, decide(facts, event, evidence, NOW, asked=asked, vm=vm), vm)
