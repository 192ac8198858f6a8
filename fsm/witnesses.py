"""Witnesses: for every guard, situations that make it true, make it false, and sit on both sides of its limit.

A guard without parts has a knob, whose positions change a plain situation; a guard made of others has theirs. Turning
all knobs of a cell's guards together shows every way in which its edges can be told apart.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from fsm.evidence import Evidence
from fsm.facts import Asked, Disk, JobFacts, Situation, VmFacts, later
from fsm.guard import Guard
from fsm.memory import DiskMemory, Memory, Still, Streak
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.progress import absorb
from fsm.states import ENDED, VMA_EVENTS, Asker, Ending, Event, State, Verdict

TICK: Final = timedelta(microseconds=1)
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)  # any time will do
LONG: Final = timedelta(days=10)  # longer than any rule waits, by default
OBSERVER: Final = "witness"

Turn = Callable[[Situation], Situation]
Limit = Callable[[Situation], timedelta]


@dataclass(frozen=True, slots=True)
class Position:
    """One position of a knob: what it is called, and what it changes."""

    label: str
    turn: Turn


@dataclass(frozen=True, slots=True, eq=False)
class Knob:
    """One thing that guards look at. Guards that look at the same thing share a knob."""

    positions: tuple[Position, ...]


def _facts(**values: Any) -> Turn:
    return lambda s: replace(s, facts=replace(s.facts, **values))


def _memory(**values: Any) -> Turn:
    return lambda s: _facts(memory=replace(s.facts.memory, **values))(s)


def _asked(**values: Any) -> Turn:
    return lambda s: replace(s, asked=replace(s.asked, **values))


def _vm(**values: Any) -> Turn:
    return lambda s: replace(s, vm=replace(s.vm, **values))


def _up(s: Situation, uptime: timedelta) -> Situation:
    return s if s.evidence is None else replace(s, evidence=replace(s.evidence, uptime=uptime.total_seconds()))


def _knob(**positions: Turn) -> Knob:
    return Knob(tuple(Position(label.replace("_", " "), turn) for label, turn in positions.items()))


def _around(limit: Limit, put: Callable[[Situation, timedelta], Situation], name: str = "") -> tuple[Position, ...]:
    """An age just before its limit, at it, and just after."""

    def at(off: timedelta) -> Turn:
        return lambda s: put(s, max(limit(s) + off, timedelta(0)))

    places = (("just before", -TICK), ("at", timedelta(0)), ("just after", TICK))
    return tuple(Position(f"{name}{label} the limit", at(off)) for label, off in places)


def _since(field: str) -> Callable[[Situation, timedelta], Situation]:
    return lambda s, age: _facts(**{field: s.now - age})(s)


def _still(s: Situation, age: timedelta) -> Situation:
    return _memory(settling=Still(s.now - age, None, None))(s)


def _garbled(s: Situation, age: timedelta) -> Situation:
    return _memory(unintelligible_since=s.now - age)(s)


def _watched(s: Situation, age: timedelta) -> Situation:
    return _memory(watched_seconds=age.total_seconds())(s)


def _streak(kind: str) -> Knob:
    def heard(s: Situation, span: timedelta, missing: int = 0) -> Situation:
        seconds, count = span.total_seconds(), s.policy.inference_answers - missing
        return _memory(**{kind: Streak(s.now - span, OBSERVER, 0.0, seconds, count)})(s)

    few = Position("one answer short", lambda s: heard(s, s.policy.inference_ripe + LONG, missing=1))
    none = Position("nothing heard", _memory(**{kind: None}))
    return Knob((none, few, *_around(lambda s: s.policy.inference_ripe, heard)))


def _percent(off: float) -> Turn:
    return lambda s: _facts(percent=s.policy.nearly_done_percent + off)(s)


_ONE: Final = Disk("disk-2000", "volume-1", 1000)
_BARE: Final = Disk("disk-2001", None, 1000)
_WHO: Final = Knob(
    (
        *(Position(f"{by} anna", _asked(by=by, actor="anna")) for by in Asker),
        Position("operator without a name", _asked(by=Asker.OPERATOR, actor=None)),
    )
)
_DISKS: Final = _knob(none=_facts(disks=()), one_without_volume=_facts(disks=(_ONE, _BARE)), all=_facts(disks=(_ONE,)))
_ENDING: Final = Knob(tuple(Position(str(e), _facts(ending=e)) for e in (None, *Ending)))
_WATCHED_JOB: Final = Knob(
    (
        Position("none", _vm(watched_job=None)),
        *(Position(str(v), _vm(watched_job="job-old", watched_verdict=v)) for v in (None, *Verdict)),
    )
)

WITNESSES: Final[Mapping[str, Knob]] = {
    "has_disks": _DISKS,
    "volumes_recorded": _DISKS,
    "vm_not_taken": _knob(free=_facts(vm_taken=False), taken=_facts(vm_taken=True)),
    "inferred": _ENDING,
    "revisable": _ENDING,
    "ended_in_setup": Knob(tuple(Position(s, _memory(ended_from=s)) for s in (State.ATTACHING, State.REPLICATING))),
    "vm_idle": _knob(none=_vm(unfinished_job=None), unfinished=_vm(unfinished_job="job-older")),
    "last_copy_over": _WATCHED_JOB,
    "watch_open": _knob(watched=_facts(watched=True), not_watched=_facts(watched=False)),
    "watch_spent": Knob(_around(lambda s: s.policy.watch_for, _watched)),
    "absence_ripe": _streak("not_found"),
    "outage_ripe": _streak("unreachable"),
    "polled_long_enough": Knob(
        _around(lambda s: s.policy.polling_grace, _since("polling_since"))
        + _around(lambda s: s.policy.polling_grace, _up, "our own uptime ")
    ),
    "was_seen": _knob(never=_facts(heard_at=None), once=_facts(heard_at=NOW - LONG)),
    "had_time_to_post": Knob(_around(lambda s: s.policy.absence_grace, _since("entered_at"))),
    "setup_timed_out": Knob(
        _around(lambda s: s.policy.setup_grace(s.facts.state), _since("entered_at"))
        + _around(lambda s: s.policy.setup_grace(s.facts.state), _up, "our own uptime ")
    ),
    "silent_too_long": Knob(_around(lambda s: s.policy.unreachable_after, _since("heard_at"))),
    "nearly_done": _knob(just_below=_percent(-1e-9), at_the_limit=_percent(0), just_above=_percent(1e-9)),
    "own_key_completed": _knob(no=_memory(own_key_completed=False), yes=_memory(own_key_completed=True)),
    "settled": Knob(_around(lambda s: s.policy.completion_settle, _still)),
    "nothing_unfinished": _knob(
        nothing_seen=_memory(disks=()),
        unfinished=_memory(disks=(DiskMemory("disk-2000", unfinished=True),)),
        unfinished_but_proven=_memory(disks=(DiskMemory("disk-2000", proven=True, unfinished=True),)),
    ),
    "garbled_too_long": Knob(_around(lambda s: s.policy.unintelligible_after, _garbled)),
    "by_operator": _WHO,
    "by_workflow": _WHO,
    "has_reason": _knob(none=_asked(reason=None), blank=_asked(reason="  "), given=_asked(reason="a reason")),
}


def knobs(guards: Iterable[Guard]) -> tuple[Knob, ...]:
    """The knobs of the guards and of all that they are made of, each once. KeyError for a guard that declares none."""
    leaves = (leaf for guard in guards for leaf in guard.family() if not leaf.parts)
    return tuple(dict.fromkeys(WITNESSES[leaf.name] for leaf in leaves))


def _spans(policy: RecoveryPolicy) -> list[timedelta]:
    return [v for name in type(policy).model_fields if isinstance(v := getattr(policy, name), timedelta)]


def plain(state: State | None, event: Event, policy: RecoveryPolicy = DEFAULT_POLICY) -> Situation:
    """A job that has long been in its state (None: it is not yet born), polled by a process that has long been up."""
    ended, old = state in ENDED, max(LONG, *_spans(policy)) + LONG
    then = NOW - old
    facts = JobFacts(
        "job-witness",
        state or State.INITIALIZING,
        then,
        then,
        version=0 if state is None else 1,
        ending=Ending.INFERRED if ended else None,
        watched=ended,
        polling_since=then,
        disks=(_ONE,),
        total_bytes=1000,
        memory=Memory(ended_from=State.REPLICATING if ended else None),
    )
    if event not in VMA_EVENTS:
        return Situation(facts, None, Asked(), NOW, policy, VmFacts())
    verdict = Verdict(event.removeprefix("vma_"))
    evidence = Evidence(verdict, NOW, OBSERVER, old.total_seconds())
    return Situation(facts, evidence, Asked(Asker.POLL), NOW, policy, VmFacts())


def situations(situation: Situation, guards: Iterable[Guard]) -> Iterator[Situation]:
    """The situation with the knobs of the guards in all their positions. KeyError as for `knobs`."""
    for turned in itertools.product(*(knob.positions for knob in knobs(guards))):
        found = situation
        for position in turned:
            found = position.turn(found)
        yield found


def much_later(situation: Situation) -> Situation:
    """When the VMA has said nothing but the same for longer than any rule waits."""
    policy = situation.policy
    for _ in range(policy.inference_answers):
        situation = later(situation, sum(_spans(policy), timedelta(0)))
        if situation.evidence is not None:
            same = replace(situation.evidence, own_key_completed=situation.facts.memory.own_key_completed)
            situation = replace(situation, facts=absorb(situation.facts, same, policy))
    return situation
