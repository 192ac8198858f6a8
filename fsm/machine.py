"""The running machine, built from the specification, and `decide`, the one way to use it.

`transitions` runs it: one module-level machine without models. Every decision fires an event on a
throw-away cursor that notes which edges were tried: all their guards' verdicts can be read from the decision.
"""

import logging
import os
from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Any, Final

from msgspec import Struct, field
from transitions import EventData, Machine, Transition
from transitions import State as TransitionsState

from fsm.decision import OUTCOME, Decision, Outcome, take
from fsm.evidence import Evidence
from fsm.facts import Asked, JobFacts, Situation, VmFacts
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.progress import absorb
from fsm.spec import EDGES, Edge, Kind
from fsm.states import ENDED, VMA_EVENTS, Asker, Effect, Event, State, event_of
from fsm.values import changed

UNBORN: Final = "(new)"  # the pseudo-state that a job is created from
logging.getLogger("transitions").setLevel(logging.WARNING)


class Cursor(Struct):
    """Carries one situation through the machine and collects what happens to it."""

    state: str
    situation: Situation
    tried: list[Edge] = field(default_factory=list)
    edge: Edge | None = None


class EdgeTransition(Transition):
    """A transition whose conditions are the guards of its edge."""

    def __init__(self, source: str, dest: str, *args: Any, edge: Edge, **kwargs: Any) -> None:
        super().__init__(source, dest, *args, **kwargs)
        self.edge = edge

    def execute(self, event_data: EventData) -> bool:
        """The library's steps as far as edges have any: the conditions, then the callbacks that come after."""
        cursor: Cursor = event_data.model  # type: ignore[assignment]
        cursor.tried.append(self.edge)
        situation = cursor.situation
        for guard in self.edge.guards:
            if not guard.passes(situation):
                return False
        event_data.machine.callbacks(self.after, event_data)
        return True


class JobMachine(Machine):
    """The machine of replication jobs; transitions are made of edges."""

    transition_cls = EdgeTransition

    def callbacks(self, funcs: Iterable[Any], event_data: EventData) -> None:
        """Call each: all of ours are functions that take the event, so none has to be looked up by its name."""
        for func in funcs:
            func(event_data)

    def get_model_state(self, model: object) -> TransitionsState:
        """Where a cursor stands: always by the name of a state that there is."""
        state: TransitionsState = self.states[model.state]  # type: ignore[attr-defined]
        return state


def _emit(event_data: EventData) -> None:
    cursor: Cursor = event_data.model  # type: ignore[assignment]
    cursor.edge = event_data.transition.edge  # type: ignore[union-attr]


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


if os.environ.get("OMA_FSM_CHECK_SPEC"):  # in development: it takes longer than everything else here
    from fsm.checks import require_sound

    require_sound()
try:
    MACHINE: Final = build()
except (AttributeError, ValueError):  # a name that nothing goes by: the checks say which, and where
    from fsm.checks import require_sound

    require_sound()
    raise


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

    A job of version 0 is only now to be created; one that is there already cannot be created again.

    Evidence belongs to `vma_…` events and to no other; ValueError if it is missing or not of that verdict.
    """
    _require_evidence(event, evidence)
    s = situation_of(facts, evidence, now, asked, policy, vm)
    cursor = Cursor(UNBORN if facts.unborn else str(facts.state), s)
    fired = MACHINE.events[event]
    legal = cursor.state in fired.transitions
    if legal:
        fired.trigger(cursor)
    edge, tried = cursor.edge, tuple(cursor.tried)
    if edge is None:
        return Decision(event, Outcome.REFUSED if legal else Outcome.ILLEGAL, facts, facts, s, tried)
    return Decision(event, OUTCOME[edge.kind], facts, _after(edge, facts, s), s, tried, edge)


_FREE: Final = VmFacts()


def situation_of(
    facts: JobFacts,
    evidence: Evidence | None,
    now: datetime,
    asked: Asked | None = None,
    policy: RecoveryPolicy = DEFAULT_POLICY,
    vm: VmFacts | None = None,
) -> Situation:
    """What the guards see of a job that is asked about, or that an answer has come for."""
    asked = asked or Asked(Asker.WORKFLOW if evidence is None else Asker.POLL)
    seen = facts if evidence is None else absorb(facts, evidence, policy)
    return Situation(seen, evidence, asked, now, policy, vm or _FREE)


def _after(edge: Edge, before: JobFacts, s: Situation) -> JobFacts:
    if edge.kind is Kind.IGNORE:
        return before
    silent = before.state in ENDED and Effect.RECORD_PROGRESS not in edge.effects
    return take(edge, _without_progress(s.facts, before) if silent else s.facts, s.evidence, s.asked, s.now)


def _without_progress(seen: JobFacts, before: JobFacts) -> JobFacts:
    return changed(
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
    fits = event not in VMA_EVENTS if evidence is None else event is event_of(evidence.verdict)
    if not fits:
        msg = f"event {event} does not go with evidence {'none' if evidence is None else evidence.verdict}"
        raise ValueError(msg)
