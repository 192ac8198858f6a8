"""The static checks: what can be said of the specification without a job, a database or a clock."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from fsm.cell_checks import cell_findings, guard_findings
from fsm.findings import Finding, Rule
from fsm.guard import Guard
from fsm.guards import by_operator
from fsm.spec import EDGES, Edge, Kind
from fsm.states import ACTIVE, ENDED, VMA_EVENTS, Attention, Effect, Ending, Event, State
from fsm.witnesses import WITNESSES

Table = tuple[Edge, ...]
_GOES_ON: Final = frozenset({Effect.START_POLLING, Effect.RESTART_POLLING, Effect.KEEP_POLLING})
_STOPS: Final = frozenset({Effect.STOP_POLLING, Effect.WATCH})


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
        if not edge.why.strip().endswith("."):
            yield Finding(Rule.WHY, edge.name, "no sentence says why it exists")


def _shapes(table: Table) -> Iterator[Finding]:
    for edge in table:
        ends = edge.target in ENDED
        wrong = {
            "no state to come from": not edge.sources,
            "an edge that moves needs a target, any other has none": (edge.kind is Kind.MOVE) == (edge.target is None),
            "an end needs an ending, any other edge has none": ends == (edge.ending is None),
            "an inferred failure needs an error text": edge.ending is Ending.INFERRED
            and edge.target is State.FAILED
            and not edge.reason,
            "only an edge that stays calls an operator": edge.attention is not None and edge.kind is not Kind.STAY,
        }
        yield from (Finding(Rule.SHAPE, edge.name, text) for text, is_wrong in wrong.items() if is_wrong)


def _polling(table: Table) -> Iterator[Finding]:
    """A move to an end stops the polling, or watches an inferred end; any other goes on; an active job is kept."""
    for edge in table:
        effects = set(edge.effects)
        if edge.kind is Kind.MOVE and edge.target in ENDED:
            wanted = {Effect.WATCH if edge.ending is Ending.INFERRED else Effect.STOP_POLLING}
            if effects & (_GOES_ON | _STOPS) != wanted:
                yield Finding(Rule.POLLING, edge.name, f"a move to this end must {' '.join(wanted)}, and only that")
        elif edge.kind is Kind.MOVE:
            if effects & _STOPS or len(effects & _GOES_ON) != 1:
                yield Finding(Rule.POLLING, edge.name, "a move to an active state must start, restart or keep polling")
        elif effects & _STOPS and set(edge.sources) & set(ACTIVE):
            yield Finding(Rule.POLLING, edge.name, "an active job that stays must be polled")


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
