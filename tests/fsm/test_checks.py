"""The static checks: the real specification is clean, and each way to break one is found."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from msgspec.structs import replace as replaced

from fsm import guards as g
from fsm.checks import UnsoundSpecError, check, require_sound
from fsm.findings import Finding, Rule
from fsm.guard import Guard, Sight, negation
from fsm.policy import RecoveryPolicy
from fsm.spec import EDGES, Edge, Kind
from fsm.states import ENDED, VMA_EVENTS, Attention, Effect, Ending, Event, State
from fsm.witnesses import TICK, WITNESSES, plain, situations

Table = tuple[Edge, ...]
EDGE = {e.name: e for e in EDGES}


def without(*names: str) -> Table:
    assert set(names) <= set(EDGE)
    return tuple(e for e in EDGES if e.name not in names)


def changed(name: str, /, **changes: Any) -> Table:
    """The real table with one edge changed."""
    assert name in EDGE
    return tuple(replace(e, **changes) if e.name == name else e for e in EDGES)


def effects(name: str, *drop: Effect, add: tuple[Effect, ...] = ()) -> Table:
    return changed(name, effects=(*(e for e in EDGE[name].effects if e not in drop), *add))


def no_exit_from(state: State) -> Table:
    """Nothing leads out of `state` any more."""
    kept = (replace(e, sources=tuple(s for s in e.sources if s is not state)) for e in EDGES if e.kind is Kind.MOVE)
    return (*(e for e in kept if e.sources), *(e for e in EDGES if e.kind is not Kind.MOVE))


def with_guard(guard: Guard) -> Table:
    return changed("lost", guards=(*EDGE["lost"].guards, guard))


def unknown(name: str) -> Any:
    return cast("Any", name)


def _like_settled(passed: Callable[[bool], bool] = lambda p: p, ahead: timedelta = TICK) -> Guard:
    """A guard under the name, and with the witnesses, of `settled`, whose word is not to be relied upon."""

    def sight(situation: Any) -> Sight:
        late = g.settled.test(situation)
        return replaced(g.settled.sight(situation), flips_at=None if late else situation.now + ahead)

    return Guard("settled", "settled, it says", lambda s: passed(g.settled.test(s)), sight)


def _blind(name: str) -> Guard:
    return Guard(name, "x", lambda _: True, lambda _: Sight("", ""))


def guards_replaced(guard: Guard) -> Table:
    """`guard` wherever one of that name stands, on its own or negated."""
    twin = {guard.name: guard, f"not_{guard.name}": negation(guard, f"not_{guard.name}", "not")}
    return tuple(replace(e, guards=tuple(twin.get(x.name, x) for x in e.guards)) for e in EDGES)


BROKEN: dict[str, tuple[Rule, Table]] = {
    "two edges of one name": (Rule.NAMES, (*EDGES, EDGE["runs"])),
    "an edge without a name": (Rule.NAMES, changed("runs", name="")),
    "an unknown source": (Rule.NAMES, changed("runs", sources=(unknown("paused"),))),
    "an unknown target": (Rule.NAMES, changed("done", target=unknown("paused"))),
    "an unknown event": (Rule.NAMES, changed("runs", event=unknown("vma_sleeping"))),
    "an unknown effect": (Rule.NAMES, effects("runs", add=(unknown("pray"),))),
    "an unknown ending": (Rule.NAMES, changed("done", ending=unknown("happy"))),
    "an unknown alarm": (Rule.NAMES, changed("cannot_settle", attention=unknown("boredom"))),
    "a guard name of two meanings": (Rule.NAMES, with_guard(_blind("settled"))),
    "a guard without witnesses": (Rule.NAMES, with_guard(_blind("lucky"))),
    "a part without witnesses": (
        Rule.NAMES,
        with_guard(negation(_blind("lucky"), "unlucky", "x")),
    ),
    "an edge without a why": (Rule.WHY, changed("runs", why="")),
    "a why that is no sentence": (Rule.WHY, changed("runs", why="because")),
    "a move without a target": (Rule.SHAPE, changed("run_seen", target=None)),
    "a stay with a target": (Rule.SHAPE, changed("runs", target=State.REPLICATING)),
    "an end without an ending": (Rule.SHAPE, changed("done", ending=None)),
    "an ending without an end": (Rule.SHAPE, changed("run_seen", ending=Ending.CONFIRMED)),
    "an inferred failure without its text": (Rule.SHAPE, changed("silent", reason=None)),
    "a move that calls an operator": (Rule.SHAPE, changed("done", attention=Attention.STALLED)),
    "an edge from nowhere": (Rule.SHAPE, changed("attach", sources=())),
    "a confirmed end still polled": (Rule.POLLING, effects("done", Effect.STOP_POLLING)),
    "a confirmed end watched": (Rule.POLLING, effects("done", Effect.STOP_POLLING, add=(Effect.WATCH,))),
    "an inferred end not watched": (Rule.POLLING, effects("lost", Effect.WATCH)),
    "an inferred end stopped": (Rule.POLLING, effects("lost", Effect.WATCH, add=(Effect.STOP_POLLING,))),
    "an end that keeps polling": (Rule.POLLING, effects("done", add=(Effect.KEEP_POLLING,))),
    "a revival that nobody polls": (Rule.POLLING, effects("runs_after_all", Effect.RESTART_POLLING)),
    "a start that stops polling": (
        Rule.POLLING,
        effects("start", Effect.START_POLLING, add=(Effect.STOP_POLLING,)),
    ),
    "an active job that stays and is dropped": (
        Rule.POLLING,
        effects("absent", Effect.KEEP_POLLING, add=(Effect.STOP_POLLING,)),
    ),
    "an end that keeps its VM": (Rule.CONTEXT, effects("done", Effect.SETTLE_CONTEXT)),
    "a state that only a revival leads to": (Rule.UNREACHABLE, without("configure")),
    "a table without a beginning": (Rule.UNREACHABLE, without("create")),
    "a state without an exit": (Rule.TRAP, no_exit_from(State.CONFIGURING)),
    "an operator who is called and can do nothing": (Rule.TRAP, without("operator_fails", "operator_completes")),
    "a watched end that no evidence overturns": (Rule.TRAP, without("runs_after_all")),
    "a watch without an end": (Rule.TRAP, without("vma_not_found_watch_over")),
    "a job that is never given up": (Rule.SILENCE, without("silent")),
    "a job that is never lost": (Rule.SILENCE, without("lost")),
    "garbage that nobody looks at": (Rule.SILENCE, changed("garbled_long", attention=None)),
    "a set-up that never times out": (
        Rule.SILENCE,
        changed("setup_lost", kind=Kind.STAY, target=None, ending=None, effects=EDGE["setup_absent"].effects),
    ),
    "a second edge for the same situation": (Rule.OVERLAP, (*EDGES, replace(EDGE["runs"], name="runs_too"))),
    "a guard forgotten": (Rule.OVERLAP, changed("absent", guards=())),
    "two people's edges at once": (Rule.OVERLAP, changed("operator_fails", guards=(g.has_reason,))),
    "an answer that no edge takes": (Rule.GAP, without("broke")),
    "a situation that no edge takes": (Rule.GAP, without("settling")),
    "a limit passed over": (Rule.GAP, changed("unreachable", guards=(g.not_given_up, g.has_disks))),
    "a confirmed end that a person leaves": (
        Rule.CONFIRMED,
        changed("operator_rules_failed", guards=(g.by_operator, g.has_reason)),
    ),
    "a confirmed end that evidence leaves": (Rule.CONFIRMED, changed("runs_after_all", guards=(g.vm_not_taken,))),
    "a guard that is always true": (Rule.WITNESS, guards_replaced(_like_settled(lambda _: True))),
    "a guard that never passes": (Rule.WITNESS, guards_replaced(_like_settled(lambda _: False))),
    "a guard that flips later than it says": (Rule.WITNESS, guards_replaced(_like_settled(ahead=timedelta(0)))),
    "a guard whose limit no witness is near": (Rule.WITNESS, guards_replaced(_like_settled(ahead=timedelta(hours=1)))),
    "a guard where it cannot be judged": (
        Rule.WITNESS,
        changed("lost", guards=(*EDGE["lost"].guards, g.setup_timed_out)),
    ),
}  # fmt: skip


def test_the_real_specification_is_sound() -> None:
    assert check() == ()
    require_sound()


@pytest.mark.parametrize("name", BROKEN)
def test_every_way_to_break_a_specification_is_found(name: str) -> None:
    rule, table = BROKEN[name]
    found = check(table)
    assert rule in {f.rule for f in found}, [str(f) for f in found]
    judged = "cannot be judged" in name or any("be judged" not in f.text for f in found if f.rule is rule)
    assert judged, "found only because a guard of this test is broken"
    with pytest.raises(UnsoundSpecError, match=str(rule)):
        require_sound(table)


def test_every_rule_is_broken_by_some_table() -> None:
    assert {rule for rule, _ in BROKEN.values()} == set(Rule)


@pytest.mark.parametrize("name", [e.name for e in EDGES if e.event in VMA_EVENTS])
def test_no_edge_of_an_answer_can_be_dropped_unnoticed(name: str) -> None:
    assert Rule.GAP in {f.rule for f in check(without(name))}


@pytest.mark.parametrize("name", EDGE)
def test_no_edge_can_be_doubled_unnoticed(name: str) -> None:
    assert Rule.OVERLAP in {f.rule for f in check((*EDGES, replace(EDGE[name], name="twin")))}


GUARDS_OF_ANSWERS = [(e.name, x.name) for e in EDGES if e.event in VMA_EVENTS for x in e.guards]


@pytest.mark.parametrize(("edge", "guard"), GUARDS_OF_ANSWERS)
def test_no_guard_of_an_answers_edge_can_be_dropped_unnoticed(edge: str, guard: str) -> None:
    kept = tuple(x for x in EDGE[edge].guards if x.name != guard)
    assert Rule.OVERLAP in {f.rule for f in check(changed(edge, guards=kept))}


@pytest.mark.parametrize("name", [e.name for e in EDGES if e.kind is Kind.MOVE])
def test_no_move_can_lose_what_it_says_of_the_polling(name: str) -> None:
    about_polling = [e for e in EDGE[name].effects if "polling" in e or e is Effect.WATCH]
    found = check(effects(name, *about_polling))
    assert [(f.rule, f.where) for f in found if f.rule is Rule.POLLING] == [(Rule.POLLING, name)]


def test_a_finding_says_where_and_what_once() -> None:
    found = [f for f in check(without("broke")) if f.rule is Rule.GAP and f.where == "replicating on vma_failed"]
    assert found == [Finding(Rule.GAP, "replicating on vma_failed", "no edge passes")]
    assert str(found[0]) == "gap: replicating on vma_failed: no edge passes"


def test_a_gap_names_the_guards_that_leave_it() -> None:
    [gap] = [f for f in check(without("absent")) if f.rule is Rule.GAP]
    assert "lost fails at lost" in gap.text


def test_a_table_of_unknown_names_is_judged_no_further() -> None:
    broken = changed("done", target=unknown("paused"), why="")
    assert [f.rule for f in check(broken)] == [Rule.NAMES]


# --- witnesses -----------------------------------------------------------------------------------


def test_every_guard_without_parts_declares_witnesses_and_no_declaration_is_stale() -> None:
    leaves = {x.name for e in EDGES for guard in e.guards for x in guard.family() if not x.parts}
    assert set(WITNESSES) == leaves


AGED = {
    "watch_spent": Event.VMA_RUNNING,
    "polled_long_enough": Event.VMA_NOT_FOUND,
    "had_time_to_post": Event.VMA_NOT_FOUND,
    "setup_timed_out": Event.VMA_NOT_FOUND,
    "silent_too_long": Event.VMA_UNREACHABLE,
    "settled": Event.VMA_UNSETTLED,
    "garbled_too_long": Event.VMA_UNINTELLIGIBLE,
    "nearly_done": Event.VMA_NOT_FOUND,
}


@pytest.mark.parametrize("policy", [RecoveryPolicy(), RecoveryPolicy(watch_for=timedelta(hours=2), polling_grace=7)])
@pytest.mark.parametrize("name", AGED)
def test_a_limit_has_witnesses_just_before_at_and_just_after_it(name: str, policy: RecoveryPolicy) -> None:
    guard = getattr(g, name)
    state = State.ATTACHING if name == "setup_timed_out" else State.REPLICATING
    found = [guard(s).passed for s in situations(plain(state, AGED[name], policy), [guard])]
    assert found[:3] == ([False, False, True] if name == "nearly_done" else [False, True, True])


def test_a_composite_guard_has_the_witnesses_of_its_parts() -> None:
    found = [g.lost(s).passed for s in situations(plain(State.REPLICATING, Event.VMA_NOT_FOUND), [g.lost])]
    parts = ("absence_ripe", "polled_long_enough", "was_seen", "had_time_to_post")
    expected = 1
    for part in parts:
        expected *= len(WITNESSES[part].positions)
    assert len(found) == expected
    assert set(found) == {True, False}
    assert g.not_lost.formula == "not lost"
    assert g.lost.formula == "absence_ripe and polled_long_enough and not_just_started"
    assert g.not_just_started.formula == "was_seen or had_time_to_post"


def test_a_plain_end_is_inferred_and_watched() -> None:
    for state in State:
        facts = plain(state, Event.VMA_RUNNING).facts
        assert (facts.ending is Ending.INFERRED, facts.watched) == ((True, True) if state in ENDED else (False, False))


# --- at import, in development ------------------------------------------------------------------

_SPOIL = "import fsm.spec as s; s.EDGES = tuple(e for e in s.EDGES if e.name != 'broke'); import fsm.machine"


@pytest.mark.parametrize(("asked", "code"), [("1", 1), ("", 0)])
def test_in_development_an_unsound_specification_stops_at_its_import(asked: str, code: int) -> None:
    environment = os.environ | {"OMA_FSM_CHECK_SPEC": asked}
    run = subprocess.run([sys.executable, "-c", _SPOIL], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stderr
    assert ("gap: replicating on vma_failed: no edge passes" in run.stderr) == bool(code)
