"""A row that makes no sense costs only its own job; so does an answer that cannot be written."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from store_builders import MIB, NOW, OPERATOR, SIZE, Vm, put
from unguarded import unguarded

import db.store
from db import views
from db.engine import read, write
from db.errors import UnreadableJobError
from db.store import Store
from db.tables import POLLING
from db.types import MARIADB
from fsm.machine import decide_on
from fsm.states import Event


def raw(vm: Vm, assignment: str, table: str = "replication_jobs", key: str = "id") -> None:
    """Change a row as no program of ours would, and as the guards would not have it."""
    with unguarded(vm.store.engine), write(vm.store.engine) as connection:
        statement = text(f"UPDATE {table} SET {assignment} WHERE {key} = :id")  # noqa: S608
        assert connection.execute(statement, {"id": vm.job_id}).rowcount == 1


def unreadable_json(vm: Vm) -> None:
    """What a half-written file of SQLite may hold; the servers check what goes into a JSON column."""
    sqlite = vm.store.engine.dialect.name == "sqlite"
    raw(vm, "rule_memory = '{\"not_found\": {'" if sqlite else "rule_memory = '7'")


def no_time_at_all(vm: Vm) -> None:
    """A zero time of Go on MariaDB; text that is no time on SQLite. PostgreSQL would take neither."""
    name = vm.store.engine.dialect.name
    values = {"sqlite": "entered_at = 'yesterday'", "postgresql": "ending = 'whenever'"}
    raw(vm, values.get(name, "created_at = '0000-00-00 00:00:00'"))


POISONS: dict[str, Callable[[Vm], None]] = {
    "unknown status": lambda vm: raw(vm, "status = 'dancing', watched = true"),
    "unknown ending": lambda vm: raw(vm, "ending = 'happy'"),
    "memory of another shape": lambda vm: raw(vm, "rule_memory = '{\"not_found\": 5}'"),
    "memory that is a list": lambda vm: raw(vm, "rule_memory = '[1, 2]'"),
    "unreadable JSON": unreadable_json,
    "no time": no_time_at_all,
}


@pytest.fixture(params=POISONS)
def poisoned(request: pytest.FixtureRequest, vm: Vm) -> Vm:
    """A replicating job whose row is spoiled; cleaned away afterwards, other tests read all jobs."""
    vm.replicate()
    POISONS[request.param](vm)
    return vm


@pytest.fixture(autouse=True)
def _cleaned(store: Store, vm: Vm) -> Any:
    yield
    with write(store.engine) as connection:
        connection.execute(text("DELETE FROM replication_jobs WHERE id = :id"), {"id": vm.job_id})


def test_a_poisonous_row_is_left_out_and_the_others_are_read(poisoned: Vm, store: Store) -> None:
    others = [Vm(store).replicate() for _ in range(3)]
    ids = [others[0].job_id, poisoned.job_id, *(v.job_id for v in others[1:])]
    assert sorted(store.load(ids)) == sorted(v.job_id for v in others)


def test_a_poisonous_row_costs_no_other_job_its_answer(poisoned: Vm, store: Store) -> None:
    others = [Vm(store).replicate() for _ in range(2)]
    answers = [v.answer("completed", done=SIZE) for v in others]
    own = db.store.Answer(poisoned.job_id, 4, answers[0].evidence, answers[0].asked)
    applied = store.answer([answers[0], own, answers[1]], NOW)
    assert [a.decision.before.job_id for a in applied] == [v.job_id for v in others]
    assert [v.row["status"] for v in others] == ["completed"] * 2


def test_a_poisonous_row_does_not_stop_the_list_of_what_is_polled(poisoned: Vm, store: Store) -> None:
    other = Vm(store).replicate()
    found = {j.job_id for j in store.polled_jobs()}
    assert {poisoned.job_id, other.job_id} <= found
    assert store.start_polling([poisoned.job_id, other.job_id], NOW) == {other.job_id}


def test_an_operator_is_told_that_the_row_is_spoiled_not_that_the_job_is_unknown(poisoned: Vm) -> None:
    with pytest.raises(UnreadableJobError, match=f"job {poisoned.job_id} cannot be read"):
        poisoned.fire(Event.FAIL, OPERATOR)
    with pytest.raises(UnreadableJobError):
        poisoned.store.facts(poisoned.job_id)


@pytest.mark.parametrize("poison", ["unknown status", "unknown ending", "memory of another shape"])
def test_people_can_list_jobs_beside_a_poisonous_one(vm: Vm, poison: str) -> None:
    POISONS[poison](vm.replicate())
    with read(vm.store.engine) as connection:
        listed = views.list_jobs(connection, vm_name=vm.name)
    assert [r["id"] for r in listed] == [vm.job_id]


def test_a_zero_time_where_none_is_needed_is_no_time(vm: Vm) -> None:
    """As Go's zero time comes out of MariaDB."""
    vm.replicate()
    mariadb = vm.store.engine.dialect.name in MARIADB
    raw(vm, "completed_at = '0000-00-00 00:00:00'" if mariadb else "completed_at = NULL")
    assert vm.row["completed_at"] is None
    assert vm.hear("running", done=MIB).decision.outcome == "stayed"


def test_a_spoiled_polling_row_costs_only_itself(vm: Vm, store: Store) -> None:
    vm.replicate()
    other = Vm(store).replicate()
    if store.engine.dialect.name == "sqlite":
        raw(vm, "next_due_at = 'soon'", "vma_polling_state", "job_id")
    else:
        put(store, POLLING, {"job_id": vm.job_id}, consecutive_errors=2**31 - 1)
    assert {vm.job_id, other.job_id} <= {j.job_id for j in store.polled_jobs()}
    assert other.job_id in store.load([vm.job_id, other.job_id])


def test_a_job_that_cannot_be_judged_is_left_as_it_was(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    vm.replicate()
    other = Vm(vm.store).replicate()
    before = dict(vm.row)

    def judge(facts: Any, *args: Any, **kwargs: Any) -> Any:
        if facts.job_id == vm.job_id:
            raise ZeroDivisionError
        return decide_on(facts, *args, **kwargs)

    monkeypatch.setattr(db.store, "decide_on", judge)
    answers = [vm.answer("running", done=MIB), other.answer("running", done=MIB)]
    assert [a.decision.before.job_id for a in vm.store.answer(answers, NOW)] == [other.job_id]
    assert (dict(vm.row), other.row["bytes_transferred"]) == (before, MIB)


def test_an_answer_that_cannot_be_written_costs_no_other_job_its_answer(vm: Vm) -> None:
    vm.create(disks=0)
    other = Vm(vm.store).replicate()
    before = dict(vm.row)
    answers = [vm.answer("running", bytes_transferred=1, total_bytes=1 << 70), other.answer("running", done=MIB)]
    assert [a.decision.before.job_id for a in vm.store.answer(answers, NOW)] == [other.job_id]
    assert (dict(vm.row), other.row["bytes_transferred"]) == (before, MIB)
