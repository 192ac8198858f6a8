"""Pairs of consecutive edges: a job that took the first is led over the second, from what the first left behind."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from functools import cache

import pytest
from msgspec.structs import replace

from fsm import guards as g
from fsm.decision import Decision
from fsm.facts import JobFacts, Situation
from fsm.machine import decide
from fsm.spec import EDGES, Edge, edges
from fsm.states import ENDED, Ending, State
from fsm.testing import transition_cases
from fsm.testing.cases import Case
from fsm.witnesses import later, plain, situations

CASES = transition_cases()
OF_THE_END = (g.inferred, g.revisable, g.ended_in_setup, g.watch_open, g.not_watched)
LEAVING = {state: tuple(e for e in EDGES if state in e.sources) for state in State}


def told(s: Situation) -> Situation:
    """An answer says what the job is to remember of it."""
    if s.evidence is None:
        return s
    return replace(s, evidence=replace(s.evidence, own_key_completed=s.facts.memory.own_key_completed))


def as_left(s: Situation, left: JobFacts) -> Situation:
    """How a job ended, and whether it is watched, is what the first edge made it; no knob may turn it."""
    memory = replace(s.facts.memory, ended_from=left.memory.ended_from)
    return replace(s, facts=replace(s.facts, ending=left.ending, watched=left.watched, memory=memory))


def variants(first: Decision, edge: Edge) -> Iterator[Situation]:
    """The job as the first edge left it, at once and an hour later, with what else the guards look at turned."""
    base = replace(plain(first.after.state, edge.event), facts=first.after)
    guards = dict.fromkeys(guard for e in edges(first.after.state, edge.event) for guard in e.guards)
    for moment in (base, later(base, timedelta(hours=1))):
        yield from (as_left(told(s), first.after) for s in situations(moment, guards))


def may_follow(first: Decision, edge: Edge) -> bool:
    """False if the end to which the first edge led is in the way of the second, whatever comes."""
    parts = [part for guard in edge.guards for part in (guard.parts if guard is g.under_watch else (guard,))]
    base = replace(plain(first.after.state, edge.event), facts=first.after)
    return all(part.passes(base) for part in parts if part in OF_THE_END)


PAIRS = [(c, e) for c in CASES for e in LEAVING[c.decide().after.state]]


@cache
def second_step(case: Case, edge: Edge) -> Decision | None:
    """The second decision, if the job can be led over the edge."""
    for s in variants(case.decide(), edge):
        second = decide(s.facts, edge.event, s.evidence, s.now, asked=s.asked, policy=s.policy, vm=s.vm)
        if second.edge == edge.name:
            return second
    return None


@pytest.mark.parametrize("case", CASES, ids=str)
def test_after_an_edge_every_edge_that_may_follow_does_what_its_row_says_and_no_other_does(case: Case) -> None:
    first = case.decide()
    for edge in LEAVING[first.after.state]:
        second = second_step(case, edge)
        assert (second is not None) == may_follow(first, edge), f"{case.edge}, then {edge.name}"
        if second is not None:
            assert second.after.version == first.after.version + second.moved
            assert second.after.state is (edge.target if second.moved else first.after.state)
            assert second.effects == edge.effects
            assert second.after.polled or second.after.state in ENDED


def test_edges_pairs_and_guard_outcomes_are_all_covered() -> None:
    """A pair that no life of a job has, as an answer that is heeded after a confirmed end, is not counted."""
    wanted = [(c, e) for c, e in PAIRS if may_follow(c.decide(), e)]
    outcomes = defaultdict(set)
    for source, event in {(s, e.event) for e in EDGES for s in e.sources}:
        guards = dict.fromkeys(part for e in edges(source, event) for guard in e.guards for part in guard.family())
        for s in situations(plain(source, event), guards):
            for guard in guards:
                outcomes[guard.name].add(guard.test(s))
    covered = {
        "edges": (len({c.edge for c in CASES}), len(EDGES)),
        "pairs": (sum(second_step(*pair) is not None for pair in wanted), len(wanted)),
        "guard outcomes": (sum(map(len, outcomes.values())), 2 * len(outcomes)),
    }
    report = " · ".join(f"{what} {have}/{want}" for what, (have, want) in covered.items())
    print(report)  # noqa: T201 # shown with -rP
    assert all(have == want for have, want in covered.values()), report
    assert {e.name for _, e in wanted} == {e.name for e in EDGES} - {"create"}, "every edge follows another one"
    assert {c.edge for c, _ in wanted} == {e.name for e in EDGES}


@pytest.mark.parametrize("case", [c for c in CASES if c.ending is Ending.CONFIRMED and c.target in ENDED], ids=str)
def test_nothing_leads_away_from_a_confirmed_end_as_it_was_left(case: Case) -> None:
    end = case.decide().after
    for edge in LEAVING[end.state]:
        base = plain(end.state, edge.event)
        decision = decide(end, edge.event, base.evidence, base.now, asked=base.asked, vm=base.vm)
        assert not decision.moved, decision.says
