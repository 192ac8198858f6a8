"""Pairs of consecutive edges: a job that took the first is led over the second, from what the first left behind."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from functools import cache

import pytest
from msgspec.structs import replace

from fsm.decision import Decision
from fsm.facts import Situation
from fsm.machine import decide
from fsm.spec import EDGES, Edge, edges
from fsm.states import ENDED, Ending, State
from fsm.testing import transition_cases
from fsm.testing.cases import Case
from fsm.witnesses import later, plain, situations

CASES = transition_cases()
LEAVING = {state: tuple(e for e in EDGES if state in e.sources) for state in State}


def told(s: Situation) -> Situation:
    """An answer says what the job is to remember of it."""
    if s.evidence is None:
        return s
    return replace(s, evidence=replace(s.evidence, own_key_completed=s.facts.memory.own_key_completed))


def variants(first: Decision, edge: Edge) -> Iterator[Situation]:
    """The job as the first edge left it, at once and an hour later, with only what the guards look at turned."""
    base = replace(plain(first.after.state, edge.event), facts=first.after)
    guards = dict.fromkeys(guard for e in edges(first.after.state, edge.event) for guard in e.guards)
    for moment in (base, later(base, timedelta(hours=1))):
        yield from map(told, situations(moment, guards))


@cache
def second_step(case: Case, edge: Edge) -> Decision | None:
    """The second decision, if the job can be led over the edge."""
    for s in variants(case.decide(), edge):
        second = decide(s.facts, edge.event, s.evidence, s.now, asked=s.asked, policy=s.policy, vm=s.vm)
        if second.edge == edge.name:
            return second
    return None


@pytest.mark.parametrize("case", CASES, ids=str)
def test_after_an_edge_every_edge_of_the_new_state_does_what_its_row_says(case: Case) -> None:
    first = case.decide().after
    for edge in LEAVING[first.state]:
        second = second_step(case, edge)
        assert second is not None, f"{case.edge}, then {edge.name}: cannot be reached"
        assert second.after.version == first.version + second.moved
        assert second.after.state is (edge.target if second.moved else first.state)
        assert second.effects == edge.effects
        assert second.after.polled or second.after.state in ENDED


def test_edges_pairs_and_guard_outcomes_are_all_covered() -> None:
    pairs = {(c.edge, e.name): second_step(c, e) for c in CASES for e in LEAVING[c.decide().after.state]}
    outcomes = defaultdict(set)
    for source, event in {(s, e.event) for e in EDGES for s in e.sources}:
        guards = dict.fromkeys(guard for e in edges(source, event) for guard in e.guards)
        for s in situations(plain(source, event), guards):
            for guard in guards:
                outcomes[guard.name].add(guard.test(s))
    covered = {
        "edges": (len({c.edge for c in CASES}), len(EDGES)),
        "pairs": (sum(second is not None for second in pairs.values()), len(pairs)),
        "guard outcomes": (sum(map(len, outcomes.values())), 2 * len(outcomes)),
    }
    report = " · ".join(f"{what} {have}/{want}" for what, (have, want) in covered.items())
    assert all(have == want for have, want in covered.values()), report


@pytest.mark.parametrize("case", [c for c in CASES if c.ending is Ending.CONFIRMED and c.target in ENDED], ids=str)
def test_nothing_leads_away_from_a_confirmed_end_as_it_was_left(case: Case) -> None:
    end = case.decide().after
    for edge in LEAVING[end.state]:
        base = plain(end.state, edge.event)
        decision = decide(end, edge.event, base.evidence, base.now, asked=base.asked, vm=base.vm)
        assert not decision.moved, decision.says
