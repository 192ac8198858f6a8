"""The machine that `transitions` runs against an interpreter of the table that fits a screen."""

from functools import cache
from itertools import product

import pytest

from fsm.decision import Outcome
from fsm.facts import Situation
from fsm.machine import decide
from fsm.progress import absorb
from fsm.spec import EDGES, Edge, Kind, edges
from fsm.states import Event, State
from fsm.witnesses import plain, situations

OUTCOME = {Kind.MOVE: Outcome.MOVED, Kind.STAY: Outcome.STAYED, Kind.IGNORE: Outcome.IGNORED}
CELLS = [(None, Event.CREATE), *product(State, Event)]


def interpret(source: State | None, event: Event, seen: Situation) -> tuple[Outcome, Edge | None]:
    """The first row whose guards all pass; refused if there are rows but none passes, illegal if there are none."""
    rows = [e for e in EDGES if e.event is event and source in e.sources]
    if not rows:
        return Outcome.ILLEGAL, None
    for row in rows:
        if all(guard.test(seen) for guard in row.guards):
            return OUTCOME[row.kind], row
    return Outcome.REFUSED, None


@cache
def cases(source: State | None, event: Event) -> tuple[Situation, ...]:
    guards = dict.fromkeys(guard for edge in edges(source, event) for guard in edge.guards)
    return tuple(situations(plain(source, event), guards))


@pytest.mark.parametrize(("source", "event"), CELLS, ids=[f"{s or 'new'}-{e}" for s, e in CELLS])
def test_the_machine_and_the_interpreter_agree(source: State | None, event: Event) -> None:
    for s in cases(source, event):
        facts = s.facts if s.evidence is None else absorb(s.facts, s.evidence)
        seen = Situation(facts, s.evidence, s.asked, s.now, s.policy, s.vm)
        outcome, row = interpret(source, event, seen)
        decision = decide(s.facts, event, s.evidence, s.now, asked=s.asked, policy=s.policy, vm=s.vm)
        assert (decision.outcome, decision.edge) == (outcome, row.name if row else None), decision.says
        if row is not None and row.kind is Kind.MOVE:
            assert decision.after.state is row.target
