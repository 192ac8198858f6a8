"""Replay: the moves of the past, decided once more under another policy.

History keeps what `decide` was given at every move, so a move can be judged again exactly. It keeps no decision by
which a job stayed: whether another policy would have moved it is only estimated, and only for silences of the VMA
(fsm/silence.py).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from fsm.decision import Decision
from fsm.evidence import Evidence
from fsm.facts import Asked, JobFacts
from fsm.guard import GuardVerdict
from fsm.machine import decide, situation_of
from fsm.policy import RecoveryPolicy
from fsm.spec import EDGES
from fsm.states import Ending, Event, State

EDGE: Final = {edge.name: edge for edge in EDGES}


@dataclass(frozen=True, slots=True)
class PastMove:
    """One move as history keeps it. `before` is the job as it was decided on; None in rows that do not have it."""

    job_id: str
    at: datetime
    event: Event
    edge: str
    state: State
    ending: Ending | None
    asked: Asked
    before: JobFacts | None
    evidence: Evidence | None = None
    spec: str = ""  # hash of the specification by which it was decided
    verdicts: tuple[GuardVerdict, ...] = ()

    @property
    def says(self) -> str:
        """Where it led, and by which rule."""
        return told(self.edge, self.state, self.ending)


@dataclass(frozen=True, slots=True)
class StrangeMove:
    """One move that another release made, with a state, an event or a fact that this one has no word for."""

    job_id: str
    spec: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A move that another policy would not have made, and what it would have decided.

    `guards` make the difference: they are those of the rule that was followed which now say no. Empty if this release
    has no such rule any more.
    """

    past: PastMove
    would: Decision
    guards: tuple[GuardVerdict, ...] = ()

    @property
    def says(self) -> str:
        """What would have come instead."""
        return led_to(self.would)

    @property
    def because(self) -> tuple[str, ...]:
        """Each guard with what it saw and the limit that it wants now, and the one that it wanted then."""
        if not self.guards:
            return (f"this release has no rule {self.past.edge}",)
        then = {v.name: v for v in self.past.verdicts}
        return tuple(f"{v}{_then(v, then.get(v.name))}" for v in self.guards)


@dataclass(frozen=True, slots=True)
class Audit:
    """What a replay came to; the counts are of moves."""

    differences: tuple[Difference, ...] = ()
    judged: int = 0
    blind: int = 0  # the job as it was is not kept
    other_rules: Counter[str] = field(default_factory=Counter)  # of the judged, those decided by other specifications
    strange: Counter[str] = field(default_factory=Counter)  # by specification: not judged


def replay(moves: Iterable[PastMove | StrangeMove], policy: RecoveryPolicy, spec: str) -> Audit:
    """Decide every move again under `policy`; `spec` is the hash of the specification of this release."""
    differences, judged, blind, other, strange = [], 0, 0, Counter[str](), Counter[str]()
    for move in moves:
        if isinstance(move, StrangeMove):
            strange[move.spec] += 1
            continue
        if move.before is None:
            blind += 1
            continue
        judged += 1
        if move.spec != spec:
            other[move.spec] += 1
        if (found := again(move, move.before, policy)) is not None:
            differences.append(found)
    return Audit(tuple(differences), judged, blind, other, strange)


def again(move: PastMove, before: JobFacts, policy: RecoveryPolicy) -> Difference | None:
    """The move decided again; None if it comes out the same."""
    would = decide(before, move.event, move.evidence, move.at, asked=move.asked, policy=policy)
    same = would.moved and (would.edge, would.after.state, would.after.ending) == (move.edge, move.state, move.ending)
    return None if same else Difference(move, would, _refusing(move, before, policy))


def _refusing(move: PastMove, before: JobFacts, policy: RecoveryPolicy) -> tuple[GuardVerdict, ...]:
    situation = situation_of(before, move.evidence, move.at, move.asked, policy)
    guards = EDGE[move.edge].guards if move.edge in EDGE else ()
    return tuple(v for guard in guards if not (v := guard(situation)).passed)


def led_to(decision: Decision) -> str:
    """Where a decision leads, and by which rule."""
    if decision.moved:
        return told(decision.edge, decision.after.state, decision.after.ending)
    return told(decision.edge, f"{decision.outcome} {decision.before.state}")


def told(edge: str | None, where: str, ending: str | None = None) -> str:
    """Where a move leads, how it ends there, and by which rule."""
    return where + (f", {ending}" if ending else "") + (f" ({edge})" if edge else "")


def _then(now: GuardVerdict, then: GuardVerdict | None) -> str:
    """The limit of then; of a guard that is made of others, what these saw and wanted."""
    if then is None or (then.limit, then.observed) == (now.limit, now.observed):
        return ""
    return f" (then: {then.observed if then.limit == now.limit else then.limit})"
