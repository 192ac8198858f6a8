"""Polling rows, the history of polls, and the runs of recovery."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import delete
from store_builders import MIB, NOW, OPERATOR, POLL, SIZE, STARTUP, Vm, put, rows

from db import views
from db.engine import read, write
from db.errors import RecoveryRunningError
from db.load import PollingRow
from db.runs import WAITED_FOR
from db.store import Store
from db.tables import POLLING, RUNS
from fsm.facts import Asked
from fsm.states import Asker, Event

SECOND = timedelta(seconds=1)
BY_ANNA = Asked(Asker.TRIGGER, "anna")


def without_polling_row(vm: Vm) -> Vm:
    with write(vm.store.engine) as connection:
        connection.execute(delete(POLLING).where(POLLING.c.job_id == vm.job_id))
    return vm


def test_an_answer_counts_and_sets_the_next_question(vm: Vm) -> None:
    vm.replicate().wait(seconds=5)
    applied = vm.hear("running", done=MIB)
    row = vm.polling
    assert (row.total_polls, row.successful_polls, row.consecutive_errors) == (1, 1, 0)
    assert (row.last_poll_at, row.last_verdict, row.polled_by) == (vm.now, "running", "run-1")
    assert row.next_due_at == applied.next_due_at == vm.now + 5 * SECOND


def test_near_its_end_a_job_is_asked_more_often(vm: Vm) -> None:
    vm.replicate().hear("running", done=SIZE * 96 // 100)
    assert vm.polling.next_due_at == vm.now + 2 * SECOND


def test_errors_in_a_row_slow_it_down_and_an_answer_ends_them(vm: Vm) -> None:
    vm.replicate()
    heard = vm.now
    vm.hear("running", done=MIB)
    paces = []
    for verdict in ("unreachable", "unintelligible", "unreachable", "unreachable"):
        vm.wait(seconds=5).hear(verdict, error="no route")
        due = vm.polling.next_due_at
        assert due is not None
        paces.append((vm.polling.consecutive_errors, (due - vm.now).total_seconds()))
    assert paces == [(1, 10.0), (2, 20.0), (3, 30.0), (4, 30.0)]
    row = vm.polling
    assert (row.last_error_message, row.total_polls, row.successful_polls) == ("no route", 5, 1)
    assert row.last_poll_at == heard
    vm.wait(seconds=30).hear("running", done=MIB)
    assert (vm.polling.consecutive_errors, vm.polling.last_error_message) == (0, None)


def test_a_404_is_an_answer_and_no_error(vm: Vm) -> None:
    vm.replicate().hear("not_found")
    row = vm.polling
    assert (row.consecutive_errors, row.successful_polls, row.last_poll_at) == (0, 1, vm.now)
    assert (row.last_verdict, row.next_due_at) == ("not_found", vm.now + 5 * SECOND)


def test_retry_after_is_obeyed(vm: Vm) -> None:
    vm.replicate().hear("unintelligible", retry_after=45.0)
    assert vm.polling.next_due_at == vm.now + 45 * SECOND


@pytest.mark.parametrize(
    "end",
    [
        lambda vm: vm.hear("completed", done=SIZE),
        lambda vm: vm.hear("failed"),
        lambda vm: vm.fire(Event.FAIL),
        lambda vm: vm.fire(Event.COMPLETE, OPERATOR),
    ],
    ids=["completed", "failed", "by the workflow", "by an operator"],
)
def test_an_end_switches_polling_off(vm: Vm, end: Callable[[Vm], Any]) -> None:
    applied = end(vm.replicate())
    assert (vm.polling.is_active, vm.polling.next_due_at, applied.next_due_at) == (False, None, None)
    assert vm.job_id not in {j.job_id for j in vm.store.polled_jobs()}


def test_an_inferred_end_stays_on_at_the_pace_of_a_watch(vm: Vm) -> None:
    vm.replicate().lose(done=MIB)
    assert (vm.polling.is_active, vm.polling.next_due_at) == (True, vm.now + 5 * SECOND)
    assert [j.watched for j in vm.store.polled_jobs() if j.job_id == vm.job_id] == [True]
    vm.wait(minutes=10).hear("not_found")
    assert vm.polling.next_due_at == vm.now + 60 * SECOND


def test_a_watch_that_is_over_switches_polling_off_without_a_move(vm: Vm) -> None:
    vm.replicate().lose(done=MIB)
    memory = {**vm.row["rule_memory"], "watched_seconds": 24 * 3600.0}
    vm.set_job(rule_memory=memory)
    history = len(vm.history)
    vm.wait(seconds=60).hear("not_found")
    assert (vm.row["watched"], vm.polling.is_active, len(vm.history)) == (False, False, history)
    assert vm.row["ending"] == "inferred"


def test_reopening_switches_polling_on_anew(vm: Vm) -> None:
    vm.replicate().fire(Event.FAIL, OPERATOR)
    assert not vm.polling.is_active
    vm.wait(hours=1).fire(Event.REOPEN, OPERATOR)
    row = vm.polling
    assert (row.is_active, row.started_polling_at, row.next_due_at) == (True, vm.now, vm.now)
    assert vm.row["polling_restarted_at"] == vm.now


def test_start_polling_makes_the_rows_that_are_missing_and_switches_on_those_that_are_off(store: Store) -> None:
    missing, off = without_polling_row(Vm(store).replicate()), Vm(store).replicate()
    put(store, POLLING, {"job_id": off.job_id}, is_active=False, next_due_at=None, total_polls=7)
    later = NOW + timedelta(hours=1)
    assert store.start_polling([missing.job_id, off.job_id], later) == {missing.job_id, off.job_id}
    assert missing.polling == PollingRow(True, later, None, later)
    assert off.polling == PollingRow(True, later, None, later, total_polls=7)


def test_start_polling_leaves_out_what_must_not_be_polled(vm: Vm) -> None:
    vm.complete()
    assert vm.store.start_polling([vm.job_id, "job-none"], vm.now) == set()
    assert not vm.polling.is_active
    assert vm.store.start_polling([], vm.now) == set()


def test_a_watched_job_may_be_polled(vm: Vm) -> None:
    without_polling_row(vm.replicate().lose(done=MIB))
    assert vm.store.start_polling([vm.job_id], vm.now) == {vm.job_id}


def test_the_start_of_a_copy_makes_a_missing_row(vm: Vm) -> None:
    without_polling_row(vm.set_up()).wait(seconds=9).fire(Event.START)
    assert vm.polling == PollingRow(True, vm.now, None, vm.now)


def test_what_must_be_polled_is_read_from_the_jobs_even_without_a_row(vm: Vm) -> None:
    without_polling_row(vm.replicate())
    assert [j.polling for j in vm.store.polled_jobs() if j.job_id == vm.job_id] == [None]
    vm.hear("completed", done=SIZE)
    assert vm.row["status"] == "completed"


# --- the history of polls -----------------------------------------------------------------------------


def test_the_poll_history_keeps_changes_and_percents(vm: Vm) -> None:
    vm.replicate()
    tenth = SIZE // 1000
    for done in (0, tenth, 2 * tenth, 9 * tenth, 10 * tenth, 11 * tenth, 25 * tenth):
        vm.wait(seconds=5).hear("running", done=done, throughput_mib_s=3.5)
    for verdict in ("not_found", "not_found", "running"):
        vm.wait(seconds=5).hear(verdict)
    kept = [(p["verdict"], p["bytes_transferred"]) for p in vm.polls]
    assert kept == [
        ("running", 0),
        ("running", tenth),  # the first bytes of all
        ("running", 10 * tenth),
        ("running", 25 * tenth),
        ("not_found", 25 * tenth),
        ("running", 25 * tenth),
    ]
    assert (vm.polls[0]["throughput_mib_s"], vm.polls[3]["percent"]) == (3.5, 2.5)


def test_the_poll_history_shows_a_fall(vm: Vm) -> None:
    vm.replicate()
    for done in (SIZE // 2, 0, MIB):
        vm.wait(seconds=5).hear("running", done=done)
    assert [p["bytes_transferred"] for p in vm.polls] == [SIZE // 2, 0, MIB]


def test_the_poll_history_keeps_another_error_but_not_the_same_again(vm: Vm) -> None:
    vm.replicate()
    for error in ("no route", "no route", "refused", "x" * 70_000, "x" * 70_000):
        vm.wait(seconds=5).hear("unreachable", error=error)
    assert [(p["error"] or "")[:8] for p in vm.polls] == ["no route", "refused", "xxxxxxxx"]


def test_the_poll_history_keeps_an_end(vm: Vm) -> None:
    vm.replicate().hear("running", done=MIB)
    vm.wait(seconds=5).hear("completed", done=SIZE)
    assert (vm.polls[-1]["verdict"], vm.polls[-1]["at"]) == ("completed", vm.now)


def test_the_poll_history_keeps_the_answer_that_made_an_end_though_it_was_like_the_one_before(vm: Vm) -> None:
    vm.replicate().lose(done=MIB)
    assert [p["verdict"] for p in vm.polls] == ["running", "not_found", "not_found"]
    assert vm.polls[-1]["at"] == vm.row["entered_at"]


# --- runs of recovery -----------------------------------------------------------------------------------


def run(store: Store, run_id: int) -> Any:
    return rows(store, RUNS, id=run_id)[0]


def test_a_run_is_opened_noted_and_finished(store: Store) -> None:
    first, second = store.open_run(NOW, STARTUP, 12), store.open_run(NOW, BY_ANNA, 3)
    opened = run(store, first)
    assert (opened["asked_by"], opened["jobs"], opened["looked_at"]) == ("startup", 12, 0)
    assert (opened["started_at"], opened["finished_at"], opened["outcomes"]) == (NOW, None, None)
    store.note_run(first, 5, {"validated": 4, "stays": 1}, {}, None)
    assert (run(store, first)["outcomes"], run(store, first)["finished_at"]) == ({"validated": 4, "stays": 1}, None)
    store.note_run(first, 12, {"validated": 12}, {"p50": 0.1, "p95": 0.2, "max": 0.5}, NOW + SECOND)
    assert (run(store, first)["looked_at"], run(store, first)["finished_at"]) == (12, NOW + SECOND)
    assert (run(store, second)["actor"], run(store, second)["looked_at"]) == ("anna", 0)


def test_abandoning_closes_only_the_runs_that_are_open(store: Store) -> None:
    finished, open_one = store.open_run(NOW, STARTUP, 1), store.open_run(NOW, STARTUP, 1)
    store.note_run(finished, 1, {}, {}, NOW + SECOND)
    store.abandon_runs(NOW + 9 * SECOND)
    assert run(store, finished)["finished_at"] == NOW + SECOND
    assert run(store, open_one)["finished_at"] == NOW + 9 * SECOND


def test_abandoning_leaves_the_runs_of_replicas_that_live(store: Store) -> None:
    living, dead = store.open_run(NOW, STARTUP, 1, "living"), store.open_run(NOW, STARTUP, 1, "dead")
    store.abandon_runs(NOW + SECOND, {"living", "another"})
    assert (run(store, living)["finished_at"], run(store, dead)["finished_at"]) == (None, NOW + SECOND)


def test_word_of_how_far_a_run_has_come_does_not_open_it_again(store: Store) -> None:
    over = store.open_run(NOW, STARTUP, 2)
    store.note_run(over, 2, {"running": 2}, {}, NOW + SECOND)
    store.note_run(over, 1, {"running": 1}, {}, None)
    assert (run(store, over)["looked_at"], run(store, over)["finished_at"]) == (2, NOW + SECOND)
    store.abandon_runs(NOW + 9 * SECOND)
    thawed = store.open_run(NOW, STARTUP, 2)
    store.abandon_runs(NOW + SECOND)
    store.note_run(thawed, 2, {"running": 2}, {}, NOW + 9 * SECOND)
    assert (run(store, thawed)["looked_at"], run(store, thawed)["finished_at"]) == (2, NOW + 9 * SECOND)


def test_a_run_of_all_jobs_is_refused_while_another_replica_runs_one(store: Store) -> None:
    startup, ended = store.open_run(NOW, STARTUP, 1, "other"), store.open_run(NOW, BY_ANNA, 1, "other")
    store.note_run(ended, 1, {}, {}, NOW)
    begun = store.open_run(NOW, BY_ANNA, 1, "us", {"other"})
    assert begun > startup, "a start is one of its own jobs"
    others = store.open_run(NOW, BY_ANNA, 1, "other")
    with pytest.raises(RecoveryRunningError, match=f"recovery run {others} is under way at replica other"):
        store.open_run(NOW, BY_ANNA, 1, "us", {"other", "third"})
    store.open_run(NOW, BY_ANNA, 1, "us", {"third"})


def test_a_run_that_was_never_recorded_as_over_is_in_nobody_s_way_for_ever(store: Store) -> None:
    stray = store.open_run(NOW, BY_ANNA, 1, "stuck")
    with pytest.raises(RecoveryRunningError, match=f"recovery run {stray} "):
        store.open_run(NOW + WAITED_FOR - SECOND, BY_ANNA, 1, "us", {"stuck"})
    store.open_run(NOW + WAITED_FOR, BY_ANNA, 1, "us", {"stuck"})


def test_of_two_replicas_that_begin_a_run_at_once_one_is_refused_with_the_other_s(store: Store) -> None:
    store.open_run(NOW, STARTUP, 1, "a")
    meet = Barrier(2)

    def begin(us: str, other: str) -> int | RecoveryRunningError:
        meet.wait()
        try:
            return store.open_run(NOW, BY_ANNA, 1, us, {other})
        except RecoveryRunningError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        for n in range(10):
            both = list(pool.map(begin, ("a", "b"), ("b", "a")))
            [begun] = [one for one in both if isinstance(one, int)]
            [refused] = [one for one in both if isinstance(one, RecoveryRunningError)]
            assert refused.run_id == begun, f"round {n}"
            store.note_run(begun, 1, {}, {}, NOW)


def test_a_run_of_somebody_with_a_long_name_is_recorded(store: Store) -> None:
    opened = run(store, store.open_run(NOW, Asked(Asker.TRIGGER, "ä" * 300), 1))
    assert (len(opened["actor"]), opened["actor"][-6:]) == (255, "… [cut]"[-6:])


# --- what people see ----------------------------------------------------------------------------------------


def test_totals_and_counts_are_plain_numbers(own_store: Store) -> None:
    with read(own_store.engine) as connection:
        assert views.polling_totals(connection)["total_polls"] == 0
    done, lost, running = (Vm(own_store).replicate() for _ in range(3))
    done.hear("completed", done=SIZE)
    lost.lose(done=MIB)
    running.hear("unreachable")
    with read(own_store.engine) as connection:
        totals = views.polling_totals(connection)
        assert dict(totals) == {"active": 2, "total_polls": 6, "successful_polls": 5, "last_poll_at": lost.now}
        assert {type(totals[name]) for name in ("active", "total_polls", "successful_polls")} == {int}
        assert views.count_polled(connection) == 2
        assert views.state_counts(connection) == {"completed": 1, "failed": 1, "replicating": 1}
        assert views.inference_counts(connection) == (1, 0)
        assert [r["id"] for r in views.polled(connection, limit=9)] == sorted([lost.job_id, running.job_id])
    assert [j.job_id for j in own_store.polled_jobs()] == sorted([lost.job_id, running.job_id])


@pytest.mark.parametrize(
    ("done", "overturn", "counts"),
    [
        (MIB, "running", (1, 1)),
        (MIB, "completed", (1, 1)),
        (MIB, "failed", (1, 0)),
        (SIZE * 95 // 100, "failed", (1, 1)),
        (SIZE * 95 // 100, "completed", (1, 0)),
    ],
)
def test_an_inference_that_evidence_contradicts_is_counted_as_overturned(
    vm: Vm, done: int, overturn: str, counts: tuple[int, int]
) -> None:
    def counted() -> tuple[int, int]:
        with read(vm.store.engine) as connection:
            return views.inference_counts(connection)

    inferred, overturned = counted()
    vm.replicate().lose(done=done).wait(seconds=5)
    vm.hear(overturn, POLL)
    after = counted()
    assert (after[0] - inferred, after[1] - overturned) == counts


def test_jobs_are_listed_newest_first_by_state_name_and_page(store: Store) -> None:
    vm = Vm(store)
    ids = [vm.wait(hours=1).complete().job_id for _ in range(3)]
    ids.append(vm.wait(hours=1).replicate().job_id)
    with read(store.engine) as connection:

        def listed(**asked: Any) -> list[str]:
            return [r["id"] for r in views.list_jobs(connection, vm_name=vm.name, **asked)]

        assert listed() == ids[::-1]
        assert listed(states=[vm.facts.state]) == [ids[3]]
        assert listed(limit=2, offset=1) == [ids[2], ids[1]]
        first = views.list_jobs(connection, vm_name=vm.name, limit=1)[0]
        assert (first["polling_is_active"], first["status"]) == (True, "replicating")
