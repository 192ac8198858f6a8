"""Hundreds of jobs in one transaction, and what goes when a job or a VM is deleted."""

from typing import Any

import pytest
from sqlalchemy import Table, event, insert, select, text, update
from store_builders import DISK, MIB, NOW, POLL, SIZE, Vm, evidence, rows
from unguarded import unguarded

from db.engine import write
from db.load import CHUNK
from db.store import Answer, Store
from db.tables import CBT, CONTEXTS, DISKS, HISTORY, JOBS, POLLING, POLLS, VOLUMES

CHILDREN = (HISTORY, POLLING, POLLS, CBT, DISKS)


def copies(vm: Vm, count: int) -> list[str]:
    """So many replicating jobs like the VM's, each of a VM of its own, with a disk and a polling row."""
    templates = {
        CONTEXTS: {**vm.context, "current_job_id": None},  # its job is not there yet
        JOBS: rows(vm.store, JOBS, id=vm.job_id)[0],
        DISKS: vm.disks[0],
        POLLING: rows(vm.store, POLLING, job_id=vm.job_id)[0],
    }
    serials = [f"{vm.name}-{n:04d}" for n in range(count)]
    with unguarded(vm.store.engine), write(vm.store.engine) as connection:
        for table, template in templates.items():
            connection.execute(insert(table), [_renamed(table, template, serial) for serial in serials])
        ours = CONTEXTS.c.context_id.in_(serials)
        connection.execute(update(CONTEXTS).where(ours).values(current_job_id=CONTEXTS.c.context_id))
    return serials


def _renamed(table: Table, template: Any, serial: str) -> dict[str, Any]:
    names = {"id", "context_id", "vm_context_id", "vm_name", "vmware_vm_id", "job_id", "current_job_id"}
    row = {name: serial if name in names and value else value for name, value in template.items()}
    return row if table is not DISKS else {name: value for name, value in row.items() if name != "id"}


def answers(ids: list[str], verdict: str, done: int) -> list[Answer]:
    return [Answer(job_id, 4, evidence(verdict, done=done), POLL) for job_id in ids]


@pytest.mark.parametrize("count", [500, 1200])
def test_a_big_batch_of_answers_is_applied_whole(vm: Vm, count: int) -> None:
    assert CHUNK < 1200
    ids = copies(vm.replicate(), count)
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(vm.store.engine, "before_cursor_execute", note)
    applied = vm.store.answer(answers(ids, "running", 7 * MIB), NOW)
    event.remove(vm.store.engine, "before_cursor_execute", note)
    assert [a.decision.before.job_id for a in applied] == ids
    assert len(statements) < 30
    with write(vm.store.engine) as connection:
        of_batch = select(JOBS.c.bytes_transferred).where(JOBS.c.id.in_(ids))
        assert connection.scalars(of_batch).all() == [7 * MIB] * count
        asked = select(POLLING.c.total_polls).where(POLLING.c.job_id.in_(ids))
        assert connection.scalars(asked).all() == [1] * count
        synced = select(DISKS.c.bytes_synced).where(DISKS.c.job_id.in_(ids))
        assert connection.scalars(synced).all() == [7 * MIB] * count
        connection.execute(JOBS.delete().where(JOBS.c.id.in_(ids)))


def test_ends_and_progress_mix_in_one_batch(vm: Vm) -> None:
    ids = copies(vm.replicate(), 60)
    mixed = [*answers(ids[:20], "running", MIB), *answers(ids[20:40], "completed", SIZE)]
    mixed += [Answer(job_id, 4, evidence("unreachable", error="no route"), POLL) for job_id in ids[40:]]
    applied = vm.store.answer(mixed[::3] + mixed[1::3] + mixed[2::3], NOW)
    assert len(applied) == 60
    found = [rows(vm.store, JOBS, id=job_id)[0] for job_id in ids]
    assert [r["status"] for r in found] == ["replicating"] * 20 + ["completed"] * 20 + ["replicating"] * 20
    assert [r["bytes_transferred"] for r in found] == [MIB] * 20 + [SIZE] * 20 + [0] * 20
    assert [len(rows(vm.store, HISTORY, job_id=job_id)) for job_id in ids] == [0] * 20 + [1] * 20 + [0] * 20
    assert [rows(vm.store, CONTEXTS, context_id=c)[0]["current_status"] for c in (ids[0], ids[20], ids[40])] == [
        "replicating", "ready_for_failover", "replicating",
    ]  # fmt: skip


def test_polling_of_many_jobs_is_started_at_once(vm: Vm) -> None:
    ids = copies(vm.replicate(), 1200)
    with write(vm.store.engine) as connection:
        connection.execute(POLLING.delete().where(POLLING.c.job_id.in_(ids[::2])))
    assert vm.store.start_polling(ids, NOW) == set(ids)
    loaded = vm.store.load(ids)
    assert [loaded[job_id].polling is not None for job_id in ids] == [True] * 1200
    with write(vm.store.engine) as connection:
        connection.execute(JOBS.delete().where(JOBS.c.id.in_(ids)))


def test_an_empty_batch_is_nothing(store: Store) -> None:
    assert (store.answer([], NOW), store.load([])) == ([], {})


# --- deleting -------------------------------------------------------------------------------------------


@pytest.fixture
def full(vm: Vm) -> Vm:
    """A VM with rows in every table."""
    vm.replicate()
    vm.store.record_change_id(vm.job_id, DISK, "52 a/1", None, NOW)
    vm.hear("completed", done=SIZE)
    assert all(rows(vm.store, table, job_id=vm.job_id) for table in CHILDREN)
    assert vm.context["last_successful_job_id"] == vm.job_id
    return vm


def delete(vm: Vm, table: str, column: str, key: str) -> None:
    with write(vm.store.engine) as connection:
        assert connection.execute(text(f"DELETE FROM {table} WHERE {column} = :key"), {"key": key}).rowcount == 1  # noqa: S608


def test_deleting_a_job_takes_all_that_is_its_own(full: Vm) -> None:
    delete(full, "replication_jobs", "id", full.job_id)
    assert [t.name for t in CHILDREN if rows(full.store, t, job_id=full.job_id)] == []
    assert full.context["last_successful_job_id"] is None


def test_deleting_a_running_job_frees_its_vm(vm: Vm) -> None:
    vm.replicate()
    delete(vm, "replication_jobs", "id", vm.job_id)
    assert vm.context["current_job_id"] is None
    assert vm.wait(hours=1).create().row["status"] == "initializing"


def test_deleting_a_vm_takes_its_jobs_and_all_that_is_theirs(full: Vm) -> None:
    context_id = full.context["context_id"]
    delete(full, "vm_replication_contexts", "context_id", context_id)
    assert rows(full.store, JOBS, source_vm_name=full.name) == []
    assert [t.name for t in CHILDREN if rows(full.store, t, job_id=full.job_id)] == []
    assert rows(full.store, VOLUMES, vm_context_id=context_id) == []
