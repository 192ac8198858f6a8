"""A decision is a value: what was asked, what every guard said, and how the job looks afterwards."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fsm.evidence import Evidence
from fsm.facts import Asked, JobFacts, Situation
from fsm.guard import GuardVerdict
from fsm.spec import Edge, Kind
from fsm.states import ENDED, Asker, Effect, Ending, Event, Recorded, RecoveryMethod, State, Verdict
from fsm.values import changed

_VALIDATING = (Verdict.RUNNING, Verdict.COMPLETED, Verdict.FAILED)
_TIMED = ("not_found", "unreachable", "settling", "still", "ended_from")  # what a job that moves on leaves behind


class Outcome(StrEnum):
    """What became of an event."""

    MOVED = "moved"
    STAYED = "stayed"
    IGNORED = "ignored"  # a late answer about a job that is over
    REFUSED = "refused"  # the table has the event here, but a guard says no
    ILLEGAL = "illegal"  # the table does not have the event here

    @property
    def accepted(self) -> bool:
        """True unless the event was refused or illegal."""
        return self not in (Outcome.REFUSED, Outcome.ILLEGAL)


_STARTS = {Effect.START_POLLING, Effect.RESTART_POLLING}
OUTCOME = {Kind.MOVE: Outcome.MOVED, Kind.STAY: Outcome.STAYED, Kind.IGNORE: Outcome.IGNORED}


class Decision(Struct, frozen=True, gc=False):
    """What `decide` concluded. `before` and `after` are the job; equal but for bookkeeping unless it moved."""

    event: Event | Recorded
    outcome: Outcome
    before: JobFacts
    after: JobFacts
    situation: Situation  # what the guards saw
    tried: tuple[Edge, ...] = ()  # in this order, until one passed
    rule: Edge | None = None  # the one that was taken

    @property
    def edge(self) -> str | None:
        """The name of the rule that was followed; None for a refusal."""
        return self.rule.name if self.rule else None

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What the world is asked to do."""
        return self.rule.effects if self.rule else ()

    @property
    def asked(self) -> Asked:
        """Who asked, and why."""
        return self.situation.asked

    @property
    def evidence(self) -> Evidence | None:
        """The answer that was judged, if it was one."""
        return self.situation.evidence

    @property
    def at(self) -> datetime:
        """When."""
        return self.situation.now

    @property
    def policy(self) -> str:
        """Fingerprint of the policy that it was decided by."""
        return self.situation.policy.fingerprint

    @property
    def reason(self) -> str | None:
        """Why it moved: the person's words, the VMA's, or the rule's; not those of whoever triggered the question."""
        edge = self.rule
        if edge is None or edge.kind is not Kind.MOVE:
            return None
        if self.evidence is None:
            return self.asked.reason or edge.reason
        return (self.evidence.error if edge.ending is Ending.CONFIRMED else None) or edge.reason

    @property
    def verdicts(self) -> tuple[GuardVerdict, ...]:
        """What every guard of every rule that was tried says."""
        situation = self.situation
        return tuple([guard(situation) for edge in self.tried for guard in edge.guards])

    @property
    def source(self) -> State | None:
        """The state before; None for a job that is only now created."""
        return None if self.before.unborn else self.before.state

    @property
    def moved(self) -> bool:
        """True if the job made a transition."""
        return self.outcome is Outcome.MOVED

    @property
    def refusals(self) -> tuple[GuardVerdict, ...]:
        """All guards that said no."""
        return tuple(v for v in self.verdicts if not v.passed)

    @property
    def possible_at(self) -> datetime | None:
        """When the clock alone lets the first of the refused edges pass; None if time does not help."""
        times = [self._passes_at(edge) for edge in self.tried if edge is not self.rule]
        return min((t for t in times if t is not None), default=None)

    def _passes_at(self, edge: Edge) -> datetime | None:
        times = [v.becomes_true_at for guard in edge.guards if not (v := guard(self.situation)).passed]
        known = [t for t in times if t is not None]
        return max(known) if known and len(known) == len(times) else None

    @property
    def says(self) -> str:
        """The decision in one line, for an operator."""
        where = self.source or "(new)"
        if self.outcome is Outcome.ILLEGAL:
            return f"{self.event} is illegal for a job that is {where}"
        if self.outcome is Outcome.REFUSED:
            return f"{self.event} refused for a job that is {where}: " + "; ".join(
                dict.fromkeys(map(str, self.refusals))
            )
        if self.moved:
            ending = f" ({self.after.ending})" if self.after.ending else ""
            return f"{self.event}: {where} -> {self.after.state}{ending}" + (f": {self.reason}" if self.reason else "")
        attention = self.rule.attention if self.rule else None
        return f"{self.event}: {self.outcome} {where}" + (f", calls an operator ({attention})" if attention else "")


def take(edge: Edge, seen: JobFacts, evidence: Evidence | None, asked: Asked, now: datetime) -> JobFacts:
    """The job after an edge was taken. `seen` are its facts with the evidence absorbed."""
    changes = _move(edge, seen, now) if edge.target is not None else {}
    if evidence is not None and evidence.verdict is not Verdict.UNREACHABLE:
        memory = changes.get("memory", seen.memory)
        if memory.attention is not edge.attention:
            changes["memory"] = memory.attend(edge.attention, now)
    for effect in edge.effects:
        if effect in _STARTS:
            changes["polling_since"] = now
        elif effect is Effect.STOP_POLLING:
            changes["watched"] = False
    if seen.recovery_attempted or asked.by.is_recovery or asked.by is Asker.OPERATOR:
        changes |= _recovery(seen, edge, evidence, asked)
    if edge.target is not None:
        return replace(seen, **changes)
    return changed(seen, **changes) if changes else seen


def _move(edge: Edge, seen: JobFacts, now: datetime) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "state": edge.target,
        "version": seen.version + 1,
        "entered_at": now,
        "ending": edge.ending,
        "watched": Effect.WATCH in edge.effects,
        "memory": replace(seen.memory, **_memory_after_move(edge, seen)),
    }
    if edge.target is State.COMPLETED and edge.ending is Ending.CONFIRMED:  # an operator's word moves no bytes
        changes |= {"percent": 100.0, "bytes_transferred": max(seen.total_bytes, seen.bytes_transferred)}
    return changes


def _memory_after_move(edge: Edge, seen: JobFacts) -> dict[str, Any]:
    """Garbage is timed across moves of the workflow; an end, or a new life after one, needs no operator any more."""
    over, was_over = edge.target in ENDED, seen.state in ENDED
    calm = {"attention": None, "attention_since": None} if over or was_over else {}
    if over:
        came_from = seen.memory.ended_from if was_over else seen.state
        return {**calm, "ended_from": came_from, "watched_seconds": 0.0}
    return {**calm, **dict.fromkeys(_TIMED)}


def _recovery(seen: JobFacts, edge: Edge, evidence: Evidence | None, asked: Asked) -> dict[str, Any]:
    attempted = seen.recovery_attempted or asked.by.is_recovery
    method = _method(edge, evidence, asked) or seen.recovery_method
    return {"recovery_attempted": attempted, "recovery_method": method}


def _method(edge: Edge, evidence: Evidence | None, asked: Asked) -> RecoveryMethod | None:
    if asked.by is Asker.OPERATOR and edge.kind is Kind.MOVE:
        return RecoveryMethod.MANUAL
    if edge.ending is Ending.INFERRED:
        return RecoveryMethod.TIMEOUT
    decided = evidence is not None and (edge.kind is Kind.MOVE or evidence.verdict in _VALIDATING)
    return RecoveryMethod.VMA_VALIDATED if decided else None
