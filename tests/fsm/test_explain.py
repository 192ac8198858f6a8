"""What could be done with a job now: the machine's own decisions, with nothing decided."""

import pytest
from builders import NO_VOLUME, NOW, ended, job

from fsm.decision import Outcome
from fsm.explain import ASKABLE, NAMED, explain
from fsm.machine import decide
from fsm.states import Event, State


@pytest.mark.parametrize("state", list(State))
def test_it_tells_of_every_event_what_the_machine_itself_would_decide(state: State) -> None:
    facts = job(state.value)
    told = explain(facts, NOW)
    assert set(told) == set(ASKABLE)
    assert told == {e: tuple(decide(facts, e, None, NOW, asked=a) for a in NAMED) for e in ASKABLE}


def test_it_tells_allowed_refused_and_illegal_apart() -> None:
    told = explain(job("attaching", disks=NO_VOLUME), NOW)
    outcomes = {event: told[event][0].outcome for event in (Event.ATTACH, Event.READY, Event.START)}
    assert outcomes == {Event.ATTACH: Outcome.STAYED, Event.READY: Outcome.REFUSED, Event.START: Outcome.ILLEGAL}
    assert [v.name for v in told[Event.READY][0].refusals] == ["volumes_recorded"]


def test_it_tells_who_may() -> None:
    by_workflow, by_operator = explain(ended("failed", "inferred"), NOW)[Event.REOPEN]
    assert (by_workflow.outcome, by_operator.outcome) == (Outcome.REFUSED, Outcome.MOVED)
    assert by_operator.after.state is State.REPLICATING
