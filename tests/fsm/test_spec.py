"""The specification as data, and the library that runs it."""

from dataclasses import replace
from typing import Any

import pytest
from builders import NOW, OPERATOR, WORKFLOW, answer, ended, job, names
from transitions.core import Event as TransitionsEvent

from fsm import guards as g
from fsm import spec
from fsm.facts import Asked, Situation
from fsm.guard import Guard
from fsm.machine import MACHINE, Cursor, EdgeTransition, build, decide
from fsm.states import ACTIVE, ENDED, INITIAL, Asker, Attention, Effect, Event, State

SITUATION = Situation(job(), None, Asked(), NOW)

# --- the specification as data ------------------------------------------------------------------


def test_every_edge_has_a_name_of_its_own_and_says_why_it_exists() -> None:
    found = names(spec.EDGES)
    assert len(set(found)) == len(found)
    for edge in spec.EDGES:
        assert edge.why.endswith("."), edge.name
        assert edge.sources, edge.name


def test_one_guard_name_means_one_thing() -> None:
    meaning: dict[str, Guard] = {}
    for guard in (x for e in spec.EDGES for x in e.guards):
        assert meaning.setdefault(guard.name, guard) is guard


def test_every_state_can_be_reached_and_none_is_a_trap() -> None:
    reached: set[State | None] = {None}
    while more := {t for s, t in spec.moves() if s in reached} - reached:
        reached |= more
    assert reached - {None} == set(State)
    assert {t for s, t in spec.moves() if s is None} == {INITIAL}
    for state in ACTIVE:
        assert {t for s, t in spec.moves() if s is state} >= {State.COMPLETED, State.FAILED}


def test_only_edges_that_move_have_a_target() -> None:
    for edge in spec.EDGES:
        assert (edge.target is not None) == (edge.kind is spec.Kind.MOVE), edge.name


@pytest.mark.parametrize("state", ENDED)
def test_no_move_leaves_a_confirmed_end(state: State) -> None:
    facts = ended(state, "confirmed", ended_from="attaching")
    for edge in (e for e in spec.EDGES if state in e.sources and e.kind is spec.Kind.MOVE):
        for asked in (WORKFLOW, OPERATOR):
            situation = Situation(facts, answer("running"), asked, NOW)
            assert not all(guard(situation).passed for guard in edge.guards), edge.name


def test_every_move_says_what_becomes_of_the_polling() -> None:
    stops, goes_on = (
        {Effect.STOP_POLLING, Effect.WATCH},
        {Effect.START_POLLING, Effect.RESTART_POLLING, Effect.KEEP_POLLING},
    )
    for edge in (e for e in spec.EDGES if e.kind is spec.Kind.MOVE):
        wanted, other = (stops, goes_on) if edge.target in ENDED else (goes_on, stops)
        assert len(wanted & set(edge.effects)) == 1, edge.name
        assert not other & set(edge.effects), edge.name


def test_every_end_settles_the_context_and_every_return_reclaims_it() -> None:
    for edge in (e for e in spec.EDGES if e.kind is spec.Kind.MOVE):
        comes_back = set(edge.sources) <= set(ENDED) and edge.target in ACTIVE
        assert (Effect.SETTLE_CONTEXT in edge.effects) == (edge.target in ENDED), edge.name
        assert (Effect.RECLAIM_CONTEXT in edge.effects) == comes_back, edge.name


def test_who_returns_to_life_must_have_the_vm_for_himself() -> None:
    for edge in (e for e in spec.EDGES if Effect.RECLAIM_CONTEXT in e.effects):
        assert g.vm_not_taken in edge.guards, edge.name


def test_the_hash_of_the_table_is_stable_and_short() -> None:
    assert spec.spec_hash() == spec.spec_hash()
    assert len(spec.spec_hash()) == 12


def test_an_alarm_is_only_ever_raised_by_an_edge_that_stays() -> None:
    assert {e.attention for e in spec.EDGES} == {
        None,
        Attention.CANNOT_SETTLE,
        Attention.UNINTELLIGIBLE,
        Attention.RUNS_BESIDE_NEWER,
    }
    assert all(e.kind is spec.Kind.STAY for e in spec.EDGES if e.attention)


def test_a_changed_table_has_another_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    before = spec.spec_hash()
    monkeypatch.setattr(spec, "EDGES", (*spec.EDGES[:-1], replace(spec.EDGES[-1], guards=())))
    assert spec.spec_hash() != before


# --- the library below ---------------------------------------------------------------------------


def test_the_library_still_lets_each_transition_execute_itself() -> None:
    asked: list[str] = []

    class Spy(EdgeTransition):
        def execute(self, event_data: Any) -> bool:
            asked.append(f"{self.edge.name} for {event_data.model.state}")
            return False

    spied = TransitionsEvent("spied", MACHINE)
    spied.add_transition(Spy("replicating", "failed", edge=spec.EDGES[0]))
    assert not spied.trigger(Cursor("replicating", SITUATION))
    assert asked == [f"{spec.EDGES[0].name} for replicating"]


def test_a_transition_calls_what_comes_after_it_once_its_guards_have_passed() -> None:
    called: list[Any] = []
    edge = spec.Edge("free", Event.START, (State.REPLICATING,), None, (), (), "free")
    shut = replace(edge, name="shut", guards=(Guard("no", "no", lambda _: False, g.has_disks.sight),))
    event = TransitionsEvent("start", MACHINE)
    for one in (shut, edge):
        event.add_transition(EdgeTransition("replicating", "", edge=one, after=lambda e: called.append(e.transition)))
    assert event.trigger(Cursor("replicating", SITUATION))
    assert [transition.edge.name for transition in called] == ["free"]


def test_all_transitions_are_of_our_kind() -> None:
    """Another kind would run the library's own steps, which look for conditions that edges do not have."""
    kinds = {type(t) for event in MACHINE.events.values() for ts in event.transitions.values() for t in ts}
    assert kinds == {EdgeTransition}


def test_a_guard_that_raises_is_heard() -> None:
    def broken(_: Situation) -> Any:
        raise ZeroDivisionError

    edge = spec.Edge(
        "bad", Event.START, (State.REPLICATING,), None, (Guard("bad", "bad", broken, broken),), (), "broken"
    )
    machine = build([edge])
    with pytest.raises(ZeroDivisionError):
        machine.events["start"].trigger(Cursor("replicating", SITUATION))


def test_all_guards_of_an_edge_are_asked_even_after_one_failed() -> None:
    decision = decide(job(), Event.COMPLETE, None, NOW, asked=Asked(Asker.MONITOR))
    assert names(decision.verdicts) == ["by_operator", "has_reason"]
    assert not any(v.passed for v in decision.verdicts)


def test_the_machine_holds_no_job() -> None:
    assert MACHINE.models == []
    assert set(MACHINE.states) == {"(new)", *(s.value for s in State)}
