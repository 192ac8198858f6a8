"""Views: which part of the machine a diagram shows."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.render.build import of
from fsm.render.model import Diagram
from fsm.spec import EDGES, Edge, Kind
from fsm.states import ENDED, SETUP, VMA_EVENTS, WORKFLOW_TARGETS, Ending, Event, State

STATE: Final = "state:"  # before the name of a state: what surrounds it
_PEOPLE: Final = (Event.FAIL, Event.COMPLETE, Event.REOPEN)


class UnknownViewError(ValueError):
    """A view that there is not; the text names those that there are."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no view {name!r}; known are {', '.join(names())}")


def view(name: str, policy: RecoveryPolicy = DEFAULT_POLICY) -> Diagram:
    """The view of that name, one of `names()`, with the limits of `policy`. UnknownViewError."""
    if name in VIEWS:
        return VIEWS[name](policy)
    state = name.removeprefix(STATE)
    if not name.startswith(STATE) or state not in list(State):
        raise UnknownViewError(name)
    return around(State(state), policy)


def names() -> tuple[str, ...]:
    """All views: of the whole, of its parts, and of what surrounds each state."""
    return (*VIEWS, *(f"{STATE}{state}" for state in State))


def whole(policy: RecoveryPolicy = DEFAULT_POLICY) -> Diagram:
    """Every move of the machine."""
    found = of("machine", "A replication job", "Every move that a job can make.", EDGES_THAT_MOVE, policy)
    return replace(found, brief=True)


def happy(policy: RecoveryPolicy = DEFAULT_POLICY) -> Diagram:
    """The workflow, and the VMA's word that the copy is done."""
    text = "From its creation to a confirmed completion, if all goes well."
    return of("happy", "A replication job: the happy path", text, _happy(), policy)


def recovery(policy: RecoveryPolicy = DEFAULT_POLICY) -> Diagram:
    """What the VMA's answers and its silence do."""
    text = "How the VMA's verdicts and its silence move a job, and how an inferred end is overturned."
    return of("recovery", "A replication job: recovery", text, filter(_recovers, EDGES_THAT_MOVE), policy)


def operator(policy: RecoveryPolicy = DEFAULT_POLICY) -> Diagram:
    """What people do."""
    text = "What is decided by name and with a reason: fail, complete, reopen."
    people = (e for e in EDGES_THAT_MOVE if e.event in _PEOPLE)
    return of("operator", "A replication job: decisions of people", text, people, policy)


def around(state: State, policy: RecoveryPolicy = DEFAULT_POLICY) -> Diagram:
    """All that can happen to a job in one state, and all that brings it there."""
    text = f"All moves into and out of {state}, and the events at which a job stays there."
    return of(f"{STATE}{state}", f"A replication job: {state}", text, _around(state), policy)


def uncovered(diagrams: Iterable[Diagram] | None = None, edges: Iterable[Edge] = EDGES) -> list[str]:
    """The edges that none of the diagrams shows; by default of all views. The specification's order."""
    shown = {edge for diagram in (map(view, names()) if diagrams is None else diagrams) for edge in diagram.edges}
    return [e.name for e in edges if e.name not in shown]


EDGES_THAT_MOVE: Final = tuple(e for e in EDGES if e.kind is Kind.MOVE)
VIEWS: Final[dict[str, Callable[[RecoveryPolicy], Diagram]]] = {
    "machine": whole,
    "happy": happy,
    "recovery": recovery,
    "operator": operator,
}


def _happy() -> Iterator[Edge]:
    for edge in EDGES_THAT_MOVE:
        if edge.event in (Event.CREATE, *WORKFLOW_TARGETS) and not set(edge.sources) & set(ENDED):
            yield edge
        elif edge.event is Event.VMA_COMPLETED and edge.ending is Ending.CONFIRMED:
            started = tuple(s for s in edge.sources if s not in (*SETUP, *ENDED))
            if started:
                yield replace(edge, sources=started)


def _recovers(edge: Edge) -> bool:
    overturns = set(edge.sources) <= set(ENDED) and edge.ending is None
    return edge.event in VMA_EVENTS or (overturns and edge.event not in _PEOPLE)


def _around(state: State) -> Iterator[Edge]:
    """Moves to the state from wherever they come; of the others the part that concerns the state."""
    for edge in EDGES:
        if edge.target is state:
            yield edge
        elif state in edge.sources:
            yield replace(edge, sources=(state,))
