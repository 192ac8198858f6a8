"""The static checks: what can be said of the specification without a job, a database or a clock."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from fsm.cell_checks import cell_findings, guard_findings
from fsm.findings import Finding, Rule
from fsm.guard import Guard
from fsm.guards import by_operator, has_reason
from fsm.spec import EDGES, Edge, Kind
from fsm.states import (
    ACTIVE,
    ENDED,
    VMA_EVENTS,
    WORKFLOW_TARGETS,
    Attention,
    Effect,
    Ending,
    Event,
    State,
    Verdict,
    event_of,
)
from fsm.witnesses import WITNESSES

Table = tuple[Edge, ...]
_BEGINS: Final = frozenset({Effect.START_POLLING, Effect.RESTART_POLLING})
_KEEPS: Final = frozenset({Effect.KEEP_POLLING})
_OF_POLLING: Final = _BEGINS | _KEEPS | {Effect.STOP_POLLING, Effect.WATCH}
# Silence, and words that settle nothing, lead where the guards say.
_SAID: Final = WORKFLOW_TARGETS | {
    Event.FAIL: State.FAILED,
    Event.COMPLETE: State.COMPLETED,
    Event.REOPEN: State.REPLICATING,
    Event.VMA_RUNNING: State.REPLICATING,
    Event.VMA_COMPLETED: State.COMPLETED,
    Event.VMA_FAILED: State.FAILED,
}
_KNOWING: Final = frozenset(event_of(v) for v in Verdict if v.knows_the_job)
_OF_CONTEXT: Final = frozenset({Effect.CLAIM_CONTEXT, Effect.RECLAIM_CONTEXT, Effect.SETTLE_CONTEXT})


class UnsoundSpecError(Exception):
    """The specification breaks its own rules."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("the specification is unsound:\n  " + "\n  ".join(map(str, self.findings)))


def check(edges: Iterable[Edge] = EDGES) -> tuple[Finding, ...]:
    """All that is wrong with a table of edges; empty if it is sound.

    A table with unknown names is not judged any further.
    """
    table = tuple(edges)
    unknown = tuple(_names(table))
    return unknown or (
        *_whys(table),
        *_shapes(table),
        *_polling(table),
        *_contexts(table),
        *_unreachable(table),
        *_traps(table),
        *guard_findings(table),
        *cell_findings(table),
    )


def require_sound(edges: Iterable[Edge] = EDGES) -> None:
    """UnsoundSpecError if anything is wrong with the table."""
    if findings := check(edges):
        raise UnsoundSpecError(findings)


def _names(table: Table) -> Iterator[Finding]:
    for name, times in Counter(e.name for e in table).items():
        if times > 1 or not name:
            yield Finding(Rule.NAMES, name or "(no name)", f"{times} edges go by this name")
    for edge in table:
        for kind, used, known in _known(edge):
            for word in used:
                if word is not None and word not in known:
                    yield Finding(Rule.NAMES, edge.name, f"no {kind} goes by {str(word)!r}")
    yield from _guard_names(table)


def _known(edge: Edge) -> Iterator[tuple[str, Iterable[object], Iterable[object]]]:
    yield "state", (*edge.sources, edge.target), tuple(State)
    yield "event", (edge.event,), tuple(Event)
    yield "effect", edge.effects, tuple(Effect)
    yield "ending", (edge.ending,), tuple(Ending)
    yield "attention", (edge.attention,), tuple(Attention)


def _guard_names(table: Table) -> Iterator[Finding]:
    meaning: dict[str, Guard] = {}
    for edge in table:
        for guard in (member for g in edge.guards for member in g.family()):
            if meaning.setdefault(guard.name, guard) is not guard:
                yield Finding(Rule.NAMES, edge.name, f"guard {guard.name!r} means two things")
            if not guard.parts and guard.name not in WITNESSES:
                yield Finding(Rule.NAMES, edge.name, f"guard {guard.name!r} has no witnesses")


def _whys(table: Table) -> Iterator[Finding]:
    for edge in table:
        if not (edge.why or "").strip().endswith("."):
            yield Finding(Rule.WHY, edge.name, "no sentence says why it exists")


def _shapes(table: Table) -> Iterator[Finding]:
    for edge in table:
        yield from (Finding(Rule.SHAPE, edge.name, text) for text, is_wrong in _misshapen(edge).items() if is_wrong)


def _misshapen(edge: Edge) -> dict[str, bool]:
    ends, born, failed = edge.target in ENDED, None in edge.sources, edge.target is State.FAILED
    return {
        "no state to come from": not edge.sources,
        "a job is born by create, and by nothing else": born != (edge.event is Event.CREATE)
        or (born and len(edge.sources) > 1),
        "an edge that moves needs a target, any other has none": (edge.kind is Kind.MOVE) == (edge.target is None),
        "only an answer of the VMA can be ignored": edge.kind is Kind.IGNORE and edge.event not in VMA_EVENTS,
        "an end needs an ending, any other edge has none": ends == (edge.ending is None),
        "an end is manual if an operator decides it, and only then": ends
        and (edge.ending is Ending.MANUAL) != (by_operator in edge.guards),
        "a failure that no person explains needs an error text": failed
        and edge.event in VMA_EVENTS
        and not edge.reason,
        "a completion has no error text": edge.target is State.COMPLETED and edge.reason is not None,
        "an operator's end needs a reason": edge.ending is Ending.MANUAL and has_reason not in edge.guards,
        "a move leads where its event says": edge.kind is Kind.MOVE
        and _SAID.get(edge.event, edge.target) is not edge.target,
        "progress is that of an answer which knows the job, and of no other": _of_progress(edge),
        "only an edge that stays calls an operator": edge.attention is not None and edge.kind is not Kind.STAY,
    }


def _of_progress(edge: Edge) -> bool:
    """True if progress is dropped, or said to be recorded where there is none; an end may leave it alone."""
    brought = edge.event in _KNOWING and edge.kind is not Kind.IGNORE
    said = Effect.RECORD_PROGRESS in edge.effects
    return said != brought if set(edge.sources) & set(ACTIVE) else said and not brought


def _polling(table: Table) -> Iterator[Finding]:
    """What becomes of the polling is said by every edge, once; nobody has to guess it."""
    for edge in table:
        said = frozenset(edge.effects) & _OF_POLLING
        may, text = _polled_then(edge)
        if said - may or len(said) != min(1, len(may)):
            yield Finding(Rule.POLLING, edge.name, text)


def _polled_then(edge: Edge) -> tuple[frozenset[Effect], str]:
    """One of these must be said, or nothing if there are none."""
    if edge.kind is Kind.IGNORE:
        return frozenset(), "an answer that is ignored changes nothing about the polling"
    if edge.kind is Kind.STAY and set(edge.sources) & set(ACTIVE):
        return _KEEPS, "an active job that stays must be polled: keep_polling"
    if edge.kind is Kind.STAY:
        return _KEEPS | {Effect.STOP_POLLING}, "an end that stays must keep_polling or stop_polling"
    if edge.target in ENDED:
        wanted = Effect.WATCH if edge.ending is Ending.INFERRED else Effect.STOP_POLLING
        return frozenset({wanted}), f"a move to this end must {wanted}, and only that"
    if {None, *ENDED} & set(edge.sources):
        return _BEGINS, "a job that was not active must be polled anew: start or restart polling"
    return _BEGINS | _KEEPS, "a move to an active state must start, restart or keep polling"


def _contexts(table: Table) -> Iterator[Finding]:
    """A job takes its VM when it is born or comes back to life, and gives it back with its end."""
    for edge in table:
        wanted = _of_the_context(edge)
        if set(edge.effects) & _OF_CONTEXT != wanted:
            yield Finding(Rule.CONTEXT, edge.name, f"must {' '.join(wanted) or 'leave the VM alone'}, and only that")


def _of_the_context(edge: Edge) -> set[Effect]:
    if edge.kind is not Kind.MOVE:
        return set()
    if edge.target in ENDED:
        return {Effect.SETTLE_CONTEXT}
    if None in edge.sources:
        return {Effect.CLAIM_CONTEXT}
    return {Effect.RECLAIM_CONTEXT} if set(edge.sources) & set(ENDED) else set()


def _reach(start: State | None, table: Table) -> set[State | None]:
    """The states that a job can come to without having ended before."""
    reached: set[State | None] = {start}
    while more := {e.target for e in table if e.target and (reached - set(ENDED)) & set(e.sources)} - reached:
        reached |= more
    return reached


def _unreachable(table: Table) -> Iterator[Finding]:
    for state in State:
        if state not in _reach(None, table):
            yield Finding(Rule.UNREACHABLE, state, "no job comes to this state in its first life")
    for event in Event:
        if not any(e.event is event for e in table):
            yield Finding(Rule.UNREACHABLE, event, "no edge has this event")


def _traps(table: Table) -> Iterator[Finding]:
    for state in ACTIVE:
        if not _reach(state, table) & set(ENDED):
            yield Finding(Rule.TRAP, state, "a job in this state never ends")
        here = [e for e in table if state in e.sources]
        if any(e.attention for e in here) and not any(e.target in ENDED and by_operator in e.guards for e in here):
            yield Finding(Rule.TRAP, state, "an operator is called, and can do nothing")
    for state in {e.target for e in table if Effect.WATCH in e.effects and e.target is not None}:
        yield from _watch_traps(state, table)


def _watch_traps(state: State, table: Table) -> Iterator[Finding]:
    """An end under watch is left by evidence, and its watch ends whatever the VMA says."""
    here = [e for e in table if state in e.sources and e.event in VMA_EVENTS]
    if not any(e.target in ACTIVE for e in here):
        yield Finding(Rule.TRAP, state, "a watched end that no evidence brings back to life")
    for event in VMA_EVENTS:
        if not any(Effect.STOP_POLLING in e.effects and e.kind is Kind.STAY for e in here if e.event is event):
            yield Finding(Rule.TRAP, f"{state} on {event}", "a watch that this answer never ends")
