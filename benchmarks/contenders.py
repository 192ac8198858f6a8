"""The measured cells of the machine, as others would write them: the same edges, the conditions as plain code."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import transitions

from fsm.evidence import Evidence
from fsm.facts import Asked, JobFacts
from fsm.policy import DEFAULT_POLICY
from fsm.states import Event, State

try:
    import statemachine
except ModuleNotFoundError:
    statemachine = None


class Cell(NamedTuple):
    """One measured decision."""

    says: str
    event: Event
    job: JobFacts
    evidence: Evidence | None
    asked: Asked
    now: datetime


class Edge(NamedTuple):
    """One row of the table; `conditions` are names of methods of `Plain`."""

    event: Event
    source: State
    target: State
    conditions: tuple[str, ...] = ()


EDGES = (
    Edge(Event.START, State.READY_FOR_SYNC, State.REPLICATING),
    Edge(Event.VMA_COMPLETED, State.REPLICATING, State.COMPLETED),
    Edge(Event.VMA_RUNNING, State.REPLICATING, State.REPLICATING),
    Edge(Event.VMA_NOT_FOUND, State.REPLICATING, State.COMPLETED, ("lost", "nearly_done")),
    Edge(Event.VMA_NOT_FOUND, State.REPLICATING, State.FAILED, ("lost", "not_nearly_done")),
    Edge(Event.VMA_NOT_FOUND, State.REPLICATING, State.REPLICATING, ("not_lost",)),
)


class Plain:
    """A job that keeps its state itself, with the conditions of the table."""

    def __init__(self, cell: Cell | None = None) -> None:
        if cell is not None:
            self.job, self.evidence, self.now = cell.job, cell.evidence, cell.now
            self.state = cell.job.state.value

    def lost(self, *_: Any) -> bool:
        """The three parts of `lost`."""
        streak, job, policy = self.job.memory.not_found, self.job, DEFAULT_POLICY
        ripe = (
            streak is not None
            and streak.count >= policy.inference_answers
            and streak.span >= policy.inference_ripe.total_seconds()
        )
        up = timedelta(seconds=self.evidence.uptime if self.evidence else 0.0)
        polled = min(self.now - (job.polling_since or job.created_at), up) >= policy.polling_grace
        known = job.heard_at is not None or self.now - job.entered_at >= policy.absence_grace
        return ripe and polled and known

    def not_lost(self, *_: Any) -> bool:
        """The opposite."""
        return not self.lost()

    def nearly_done(self, *_: Any) -> bool:
        """More than the policy's percentage."""
        return self.job.percent > DEFAULT_POLICY.nearly_done_percent

    def not_nearly_done(self, *_: Any) -> bool:
        """The opposite."""
        return not self.nearly_done()


Fire = Callable[[], str]  # one decision; gives the state that it leads to


def _put_back(job: Plain, cell: Cell) -> str:
    reached, job.state = job.state, cell.job.state.value
    return reached


# --- a dict ------------------------------------------------------------------------------------------

_DICT: dict[tuple[str, str], list[Edge]] = {}
for _edge in EDGES:
    _DICT.setdefault((_edge.source.value, _edge.event.value), []).append(_edge)


def dict_table(cell: Cell) -> Fire:
    """A dict of edges, and a loop over the candidates."""
    job, event = Plain(cell), cell.event.value

    def fire() -> str:
        for edge in _DICT[job.state, event]:
            if all(getattr(job, name)() for name in edge.conditions):
                job.state = edge.target.value
                break
        return _put_back(job, cell)

    return fire


# --- transitions ---------------------------------------------------------------------------------------


def _transitions() -> transitions.Machine:
    states: list[Any] = [s.value for s in State]
    machine = transitions.Machine(model=None, states=states, initial=states[0], auto_transitions=False, send_event=True)
    for event, source, target, conditions in EDGES:
        to = None if source is target else target.value
        machine.add_transition(event.value, source.value, to, conditions=list(conditions))
    return machine


TRANSITIONS = _transitions()


def bare_transitions(cell: Cell) -> Fire:
    """A trigger on a model that is there already; its state is put back each time."""
    job, fired = Plain(cell), TRANSITIONS.events[cell.event.value]

    def fire() -> str:
        fired.trigger(job)
        return _put_back(job, cell)

    return fire


# --- python-statemachine --------------------------------------------------------------------------


def _statemachine() -> Any:
    """A class with the same edges, and a ring of others by which every state can be reached."""
    states = {s: statemachine.State(initial=s is State.INITIALIZING, value=s.value) for s in State}
    members: dict[str, Any] = {s.value: state for s, state in states.items()}
    for one, following in _ring():
        _add(members, "ring", states[one].to(states[following]))
    for event, source, target, conditions in EDGES:
        internal = {"internal": True} if source is target else {}
        _add(members, event.value, states[source].to(states[target], cond=list(conditions), **internal))
    return type("Job", (Plain, statemachine.StateMachine), members | {"__init__": _begin})


def _ring() -> Iterator[tuple[State, State]]:
    order = list(State)
    yield from zip(order, [*order[1:], order[0]], strict=True)


def _add(members: dict[str, Any], event: str, edge: Any) -> None:
    members[event] = members[event] | edge if event in members else edge


def _begin(self: Any, cell: Cell) -> None:
    self.job, self.evidence, self.now = cell.job, cell.evidence, cell.now
    statemachine.StateMachine.__init__(self, start_value=cell.job.state.value)


STATEMACHINE = None if statemachine is None else _statemachine()


def python_statemachine(cell: Cell) -> Fire:
    """The same, on a machine that is there already."""
    job, event = STATEMACHINE(cell), cell.event.value

    def fire() -> str:
        job.send(event)
        reached = job.current_state_value
        job.current_state_value = cell.job.state.value
        return reached

    return fire
