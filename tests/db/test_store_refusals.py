"""Why a job did not move, and events that are repeated with a key."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import event
from store_builders import MIB, NOW, OPERATOR, WORKFLOW, Vm

from db import refusals
from db.codec import verdicts_from_json
from db.errors import ConflictError
from fsm.decision import Outcome
from fsm.facts import Asked
from fsm.policy import RecoveryPolicy
from fsm.states import Asker, Event

MONITOR = Asked(Asker.MONITOR)


def kept(vm: Vm) -> list[dict[str, Any]]:
    return vm.look(refusals.of_job)


def test_a_refused_event_is_kept_with_every_guard_that_said_no(vm: Vm) -> None:
    refused = vm.replicate().fire(Event.COMPLETE, MONITOR).decision
    (row,) = kept(vm)
    assert refused.outcome is Outcome.REFUSED
    assert verdicts_from_json(row["verdicts"]) == refused.refusals
    assert [v["name"] for v in row["verdicts"]] == ["by_operator", "has_reason"]
    shown = ("event", "state", "outcome", "asked_by", "message", "times", "at")
    assert [row[name] for name in shown] == ["complete", "replicating", "refused", "monitor", refused.says, 1, NOW]


def test_an_illegal_event_is_kept_too(vm: Vm) -> None:
    vm.create().fire(Event.START)
    assert [(r["outcome"], r["message"]) for r in kept(vm)] == [
        ("illegal", "start is illegal for a job that is initializing")
    ]


def test_the_same_refusal_is_counted_and_another_one_is_a_row_of_its_own(vm: Vm) -> None:
    vm.replicate()
    for _ in range(3):
        vm.wait(minutes=1).fire(Event.COMPLETE, MONITOR)
    vm.fire(Event.REOPEN, OPERATOR)
    newest, first = kept(vm)
    assert (first["times"], first["last_at"] - first["at"], first["last_at"]) == (
        3,
        vm.now - NOW - (vm.now - NOW) / 3,
        vm.now,
    )
    assert (newest["event"], newest["outcome"], newest["times"]) == ("reopen", "illegal", 1)


def test_the_same_event_refused_to_somebody_else_is_a_row_of_its_own(vm: Vm) -> None:
    vm.replicate()
    for asked in (MONITOR, WORKFLOW, Asked(Asker.WORKFLOW, "oma-2", "again")):
        vm.fire(Event.COMPLETE, asked)
    assert [(r["asked_by"], r["actor"], r["times"]) for r in reversed(kept(vm))] == [
        ("monitor", None, 1),
        ("workflow", None, 1),
        ("workflow", "oma-2", 1),
    ]


def test_an_answer_at_which_a_job_begins_to_stay_for_another_reason_is_kept(vm: Vm) -> None:
    vm.replicate().hear("running", done=MIB)
    assert kept(vm) == []
    for _ in range(2):
        vm.wait(seconds=5).hear("not_found")
    (row,) = kept(vm)
    assert (row["event"], row["outcome"], row["edge"], row["times"]) == ("vma_not_found", "stayed", "absent", 1)
    assert "absence_ripe" in str(row["verdicts"])
    assert [v["name"] for v in row["verdicts"]] == ["lost", "nearly_done"], "each once, though two rules want the first"


def test_the_same_answer_at_which_a_job_stays_elsewhere_is_kept_too(vm: Vm) -> None:
    vm.create().volume()
    vm.hear("not_found")
    for step in (Event.ATTACH, Event.READY, Event.START):
        vm.wait(seconds=5).fire(step)
        vm.wait(seconds=5).hear("not_found")
        vm.wait(seconds=5).hear("not_found")
    assert [(r["state"], r["edge"], r["times"]) for r in reversed(kept(vm))] == [
        ("initializing", "setup_absent", 1),
        ("attaching", "setup_absent", 1),
        ("ready_for_sync", "setup_absent", 1),
        ("replicating", "absent", 1),
    ]


def test_the_answer_that_ends_a_watch_is_kept_too(vm: Vm) -> None:
    vm.replicate()
    for minutes in (2, 2, 2):
        vm.wait(minutes=minutes).hear("not_found")
    assert vm.row["ending"] == "inferred"
    while vm.row["watched"]:
        vm.wait(hours=1).store.policy = RecoveryPolicy(watch_interval="1h")
        vm.hear("not_found")
    newest, *_ = kept(vm)
    assert (newest["edge"], newest["times"]) == ("vma_not_found_watch_over", 1)


@pytest.mark.parametrize(
    ("answer", "minutes", "edges", "alarm"),
    [
        ("unsettled", 15, ["settling", "cannot_settle"], "cannot_settle"),
        ("unintelligible", 30, ["garbled", "garbled_long"], "unintelligible"),
    ],
)
def test_the_same_answer_at_which_an_operator_is_called_is_kept_too(
    vm: Vm, answer: str, minutes: int, edges: list[str], alarm: str
) -> None:
    vm.replicate().hear("running", done=MIB)
    for _ in range(2):
        vm.wait(seconds=5).hear(answer)
    for _ in range(2):
        vm.wait(minutes=minutes).hear(answer)
    assert [(r["edge"], r["times"]) for r in reversed(kept(vm))] == [(edge, 1) for edge in edges]
    assert kept(vm)[0]["message"] == f"vma_{answer}: stayed replicating, calls an operator ({alarm})"


def test_the_last_refusals_of_a_batch_are_looked_up_at_once(vm: Vm) -> None:
    vms = [vm.replicate(), Vm(vm.store).replicate(), Vm(vm.store).replicate()]
    answers = [v.answer("not_found") for v in vms]
    looks: list[str] = []

    def look(*args: Any) -> None:
        if args[2].startswith("SELECT") and "FROM job_refusals" in args[2]:
            looks.append(args[2])

    event.listen(vm.store.engine, "before_cursor_execute", look)
    vm.store.answer(answers, vm.now)
    event.remove(vm.store.engine, "before_cursor_execute", look)
    assert len(looks) == 1
    assert [len(kept(v)) for v in vms] == [1, 1, 1]


def test_an_accepted_event_leaves_no_refusal(vm: Vm) -> None:
    vm.replicate().fire(Event.START)
    vm.fire(Event.FAIL, OPERATOR)
    assert kept(vm) == []


# --- keys ------------------------------------------------------------------------------------------------


def test_an_event_with_a_key_has_one_effect_and_one_answer(vm: Vm) -> None:
    vm.replicate()
    first = vm.store.fire(vm.job_id, Event.FAIL, vm.now, asked=OPERATOR, key="night-1")
    moves = len(vm.history)
    again = vm.store.fire(vm.job_id, Event.FAIL, vm.wait(minutes=1).now, asked=WORKFLOW, key="night-1")
    assert (first.repeated, again.repeated) == (False, True)
    assert replace(again.decision, situation=first.decision.situation) == first.decision
    assert again.decision.asked == OPERATOR
    assert again.decision.verdicts == first.decision.verdicts
    assert len(vm.history) == moves


def test_a_refusal_with_a_key_stays_refused_though_it_would_pass_now(vm: Vm) -> None:
    vm.create()
    assert vm.store.fire(vm.job_id, Event.START, vm.now, asked=WORKFLOW, key="k").decision.outcome is Outcome.ILLEGAL
    vm.volume()
    for step in (Event.ATTACH, Event.READY):
        vm.fire(step)
    assert vm.store.fire(vm.job_id, Event.START, vm.now, asked=WORKFLOW, key="k").decision.outcome is Outcome.ILLEGAL
    assert vm.store.fire(vm.job_id, Event.START, vm.now, asked=WORKFLOW, key="K").decision.moved


def test_a_key_of_another_event_is_refused_and_of_another_job_is_free(vm: Vm) -> None:
    other = Vm(vm.store).set_up()
    vm.set_up()
    vm.store.fire(vm.job_id, Event.START, vm.now, asked=WORKFLOW, key="k")
    with pytest.raises(ConflictError, match="'k' was used for start"):
        vm.store.fire(vm.job_id, Event.FAIL, vm.now, asked=OPERATOR, key="k")
    assert vm.row["status"] == "replicating"
    assert other.store.fire(other.job_id, Event.START, vm.now, asked=WORKFLOW, key="k").decision.moved


def test_two_events_with_one_key_at_once_have_one_effect(vm: Vm) -> None:
    vm.replicate()
    moves = len(vm.history)
    with ThreadPoolExecutor(4) as pool:
        fire = lambda _: vm.store.fire(vm.job_id, Event.FAIL, vm.now, asked=OPERATOR, key="once")  # noqa: E731
        told = list(pool.map(fire, range(4)))
    assert sorted(t.repeated for t in told) == [False, True, True, True]
    assert {t.decision.outcome for t in told} == {Outcome.MOVED}
    assert len(vm.history) == moves + 1
