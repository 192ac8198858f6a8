"""What is forgotten, and what never is."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Table, insert
from store_builders import MIB, NOW, OPERATOR, WORKFLOW, Vm, rows

from db import retention
from db.engine import write
from db.store import Store
from db.tables import EVENT_KEYS, HISTORY, POLLS, REFUSALS
from fsm.states import Event

REFUSAL = {
    "event": "fail", "state": "failed", "version": 1, "outcome": "refused", "asked_by": "workflow", "message": "no",
    "verdicts": [], "last_at": NOW,
}  # fmt: skip
BODY = {POLLS: {"verdict": "running"}, REFUSALS: REFUSAL}


def put_rows(vm: Vm, table: Table, count: int, at: Any = NOW) -> None:
    with write(vm.store.engine) as connection:
        connection.execute(insert(table), [{"job_id": vm.job_id, "at": at, **BODY[table]}] * count)


def left(vm: Vm, table: Table) -> int:
    return len(rows(vm.store, table, job_id=vm.job_id))


@pytest.mark.parametrize("table", retention.KEPT, ids=str)
def test_the_newest_rows_of_each_job_are_kept(own_store: Store, table: Table) -> None:
    busy, quiet, keep = Vm(own_store).replicate(), Vm(own_store).replicate(), retention.KEPT[table]
    put_rows(busy, table, keep + 20)
    put_rows(quiet, table, 1)
    newest = [r["id"] for r in rows(own_store, table, job_id=busy.job_id)][-keep:]
    assert own_store.prune(NOW) == 20
    assert [r["id"] for r in rows(own_store, table, job_id=busy.job_id)] == newest
    assert left(quiet, table) == 1
    assert own_store.prune(NOW) == 0


def test_that_something_was_transferred_is_not_forgotten_however_often_a_job_is_heard_of(own_store: Store) -> None:
    """Its copy began anew and came to nothing: what it overwrote before must not be offered for failover."""
    vm = Vm(own_store).complete().wait(hours=1).replicate()
    for done in (MIB, 0):
        vm.wait(seconds=5).hear("running", done=done)
    assert vm.row["bytes_transferred"] == 0
    put_rows(vm, POLLS, retention.KEPT[POLLS] + 20)
    own_store.prune(NOW)
    assert left(vm, POLLS) == retention.KEPT[POLLS]
    assert own_store.prune(NOW) == 0
    vm.hear("failed")
    assert vm.context["current_status"] == "failed"


def test_jobs_are_bounded_a_few_at_a_time_until_all_are(own_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "JOBS_AT_ONCE", 2)
    busy = [Vm(own_store).replicate() for _ in range(5)]
    for vm in busy:
        put_rows(vm, REFUSALS, retention.KEPT[REFUSALS] + 1)
    assert own_store.prune(NOW) == 5
    assert {left(vm, REFUSALS) for vm in busy} == {retention.KEPT[REFUSALS]}


@pytest.mark.parametrize("table", retention.KEPT, ids=str)
def test_how_an_ended_job_was_polled_is_forgotten_after_its_time_and_its_transitions_never(
    own_store: Store, table: Table
) -> None:
    ended = Vm(own_store).replicate()
    ended.fire(Event.FAIL, OPERATOR)
    put_rows(ended, table, 3)
    moves = left(ended, HISTORY)
    own_store.prune(NOW + own_store.keep)
    assert left(ended, table) == 3
    own_store.prune(NOW + own_store.keep + timedelta(microseconds=1000))
    assert left(ended, table) == 0
    assert left(ended, HISTORY) == moves > 3


def test_of_jobs_that_are_still_polled_nothing_is_forgotten(own_store: Store) -> None:
    running, watched = Vm(own_store).replicate(), Vm(own_store).replicate().lose(done=MIB)
    for vm in (running, watched):
        put_rows(vm, POLLS, 3)
    before = [left(vm, POLLS) for vm in (running, watched)]
    own_store.prune(NOW + timedelta(days=3650))
    assert [left(vm, POLLS) for vm in (running, watched)] == before


def test_much_is_forgotten_in_many_small_transactions(own_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Vm(own_store).replicate()
    ended.fire(Event.FAIL, OPERATOR)
    put_rows(ended, POLLS, 7)
    transactions: list[int] = []
    forget = retention.forget

    def small(connection: Any, table: Table, before: Any) -> int:
        transactions.append(forget(connection, table, before, batch=3))
        return transactions[-1]

    monkeypatch.setattr(retention, "forget", small)
    own_store.prune(NOW + timedelta(days=91))
    assert transactions[:4] == [3, 3, 1, 0]


def test_an_event_key_is_forgotten_after_its_time(own_store: Store) -> None:
    vm = Vm(own_store).set_up()
    own_store.fire(vm.job_id, Event.START, NOW, asked=WORKFLOW, key="k")
    own_store.prune(NOW + timedelta(days=89))
    assert left(vm, EVENT_KEYS) == 1
    own_store.prune(NOW + timedelta(days=91))
    assert left(vm, EVENT_KEYS) == 0
