"""The running machine, built from the specification, and `decide`, the one way to use it.

`transitions` runs it: one module-level machine without models. Every decision fires an event on a
throw-away cursor; all guards of a candidate edge are run, so that a refusal can name everything that is missing.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any, Final, cast

from transitions import EventData, Machine, Transition
from transitions import State as TransitionsState

from fsm.decision import Decision, Outcome, outcome_of, reason_of, take
from fsm.evidence import Evidence
from fsm.facts import Asked, JobFacts, Situation, VmFacts
from fsm.guards import GuardVerdict
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.progress import absorb
from fsm.spec import EDGES, Edge, Kind
from fsm.states import ENDED, Asker, Effect, Event, State, event_of

UNBORN: Final = "(new)"  # the pseudo-state that a job is created from
logging.getLogger("transitions").setLevel(logging.WARNING)


@dataclass(slots=True)
class Cursor:
    """Carries one situation through the machine and collects what happens to it."""

    state: str
    situation: Situation
    verdicts: list[GuardVerdict] = field(default_factory=list)
    edge: Edge | None = None


class EdgeTransition(Transition):
    """A transition that runs every guard of its edge and keeps the verdicts."""

    def __init__(self, source: str, dest: str, *args: Any, edge: Edge, **kwargs: Any) -> None:
        super().__init__(source, dest, *args, **kwargs)
        self.edge = edge

    def _eval_conditions(self, event_data: EventData) -> bool:
        cursor = cast("Cursor", event_data.model)
        found = [guard(cursor.situation) for guard in self.edge.guards]
        cursor.verdicts.extend(found)
        return all(v.passed for v in found)


class JobMachine(Machine):
    """The machine of replication jobs; transitions are made of edges."""

    transition_cls = EdgeTransition


def _emit(event_data: EventData) -> None:
    cast("Cursor", event_data.model).edge = cast("EdgeTransition", event_data.transition).edge


def build(edges: Iterable[Edge] = EDGES) -> JobMachine:
    """A machine from a table of edges."""
    machine = JobMachine(
        model=None,
        states=[UNBORN, *(s.value for s in State)],
        initial=UNBORN,
        auto_transitions=False,
        send_event=True,
        queued=False,
    )
    for edge in edges:
        sources: list[str | Enum | TransitionsState] = [UNBORN if s is None else s.value for s in edge.sources]
        target = None if edge.target is None else edge.target.value
        machine.add_transition(edge.event.value, sources, target, after=_emit, edge=edge)
    return machine


MACHINE: Final = build()


def decide(
    facts: JobFacts,
    event: Event,
    evidence: Evidence | None,
    now: datetime,
    *,
    asked: Asked | None = None,
    policy: RecoveryPolicy = DEFAULT_POLICY,
    vm: VmFacts | None = None,
) -> Decision:
    """Judge one event. Nothing happens: the same call explains, dry-runs and decides.

    Evidence belongs to `vma_…` events and to no other; ValueError if it is missing or not of that verdict.
    """
    _require_evidence(event, evidence)
    asked = asked or Asked(Asker.WORKFLOW if evidence is None else Asker.POLL)
    seen = facts if evidence is None else absorb(facts, evidence)
    cursor = Cursor(
        UNBORN if event is Event.CREATE else facts.state.value,
        Situation(seen, evidence, asked, now, policy, vm or VmFacts()),
    )
    blank = Decision(event, Outcome.ILLEGAL, facts, facts, asked, now, policy.fingerprint, evidence=evidence)
    fired = MACHINE.events[event.value]
    if cursor.state not in fired.transitions:
        return blank
    fired.trigger(cursor)
    blank = replace(blank, verdicts=tuple(cursor.verdicts))
    if cursor.edge is None:
        return replace(blank, outcome=Outcome.REFUSED)
    return _accept(blank, cursor.edge, seen)


def _accept(blank: Decision, edge: Edge, seen: JobFacts) -> Decision:
    kept = seen if edge.kind is not Kind.IGNORE else blank.before
    if Effect.RECORD_PROGRESS not in edge.effects and blank.before.state in ENDED:
        kept = _without_progress(kept, blank.before)
    return replace(
        blank,
        outcome=outcome_of(edge),
        edge=edge.name,
        effects=edge.effects,
        after=kept if edge.kind is Kind.IGNORE else take(edge, kept, blank.evidence, blank.asked, blank.at),
        reason=reason_of(edge, blank.asked, blank.evidence) if edge.kind is Kind.MOVE else None,
    )


def _without_progress(seen: JobFacts, before: JobFacts) -> JobFacts:
    return replace(
        seen,
        percent=before.percent,
        bytes_transferred=before.bytes_transferred,
        total_bytes=before.total_bytes,
    )


def decide_on(
    facts: JobFacts,
    evidence: Evidence,
    now: datetime,
    *,
    asked: Asked,
    policy: RecoveryPolicy = DEFAULT_POLICY,
) -> Decision:
    """Judge an answer: its verdict names the event."""
    return decide(facts, event_of(evidence.verdict), evidence, now, asked=asked, policy=policy)


def _require_evidence(event: Event, evidence: Evidence | None) -> None:
    carries = event.value.startswith("vma_")
    if not carries and evidence is None:
        return
    if not carries or evidence is None or event_of(evidence.verdict) is not event:
        verdict = "none" if evidence is None else evidence.verdict
        msg = f"event {event} does not go with evidence {verdict}"
        raise ValueError(msg)
