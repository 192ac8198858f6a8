"""What is remembered of a job is what is stored of it, whoever wrote, and costs one short query."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from store_builders import DISK, MIB, SIZE, STARTUP, Vm, put
from unguarded import unguarded

from db.engine import read
from db.load import Loaded, load
from db.store import Store
from db.tables import JOBS, POLLING
from fsm.policy import DEFAULT_POLICY
from fsm.states import Event


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """The queries that are put meanwhile."""
    told: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        told.append(statement)

    event.listen(store.engine, "before_cursor_execute", note)
    yield told
    event.remove(store.engine, "before_cursor_execute", note)


def stored(vm: Vm) -> Loaded:
    """The job as the rows have it."""
    with read(vm.store.engine) as connection:
        return load(connection, [vm.job_id])[vm.job_id]


def remembered(vm: Vm) -> Loaded:
    return vm.store.load([vm.job_id])[vm.job_id]


def elsewhere(vm: Vm) -> Vm:
    """The same VM seen by another process."""
    return Vm(Store(vm.store.engine, DEFAULT_POLICY), vm.now, vm.name, vm.job_id)


@pytest.fixture
def known(vm: Vm) -> Vm:
    """A VM whose job is remembered."""
    vm.replicate().hear("running", done=MIB)
    vm.store.load([vm.job_id])
    return vm


def test_a_job_that_nobody_touched_is_not_read_again(known: Vm) -> None:
    with statements(known.store) as told:
        first = remembered(known)
    assert [s for s in told if "rule_memory" in s] == []
    assert len([s for s in told if s.startswith("SELECT")]) == 1
    assert first == stored(known)


ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("running", {"done": 3 * MIB}),
    ("running", {"done": 3 * MIB, "answering_key": "job", "throughput_mib_s": 12.345}),
    ("running", {"percent": 12.3456789}),
    ("not_found", {}),
    ("unreachable", {"error": "no route to host"}),
    ("unreachable", {"error": "no route to host"}),
    ("unintelligible", {"error": "HTTP 500", "body": "oh"}),
    ("unsettled", {"done": SIZE}),
    ("running", {"done": MIB}),
]


def test_after_every_answer_what_is_remembered_is_what_is_stored(known: Vm) -> None:
    for verdict, more in ANSWERS:
        known.wait(seconds=5.000001).hear(verdict, **more)
        with statements(known.store) as told:
            found = remembered(known)
        assert [s for s in told if "rule_memory" in s] == [], verdict
        assert found == stored(known), verdict


def _volume(vm: Vm) -> None:
    vm.volume(DISK, f"{vm.name}-other")


def _proof(vm: Vm) -> None:
    vm.store.record_change_id(vm.job_id, DISK, "52 de c0", None, vm.now)


def _answer(vm: Vm) -> None:
    vm.wait(seconds=5).hear("not_found")


def _move(vm: Vm) -> None:
    vm.hear("completed", done=SIZE)


def _stay(vm: Vm) -> None:
    vm.fire(Event.START, STARTUP)


def _polled_anew(vm: Vm) -> None:
    vm.store.start_polling([vm.job_id], vm.wait(seconds=7).now)


def _switched_off(vm: Vm) -> None:
    put(vm.store, POLLING, {"job_id": vm.job_id}, is_active=False)


def _counted(vm: Vm) -> None:
    put(vm.store, POLLING, {"job_id": vm.job_id}, total_polls=77)


def _restated(vm: Vm) -> None:
    with unguarded(vm.store.engine):
        put(vm.store, JOBS, {"id": vm.job_id}, status="attaching")


def _renumbered(vm: Vm) -> None:
    with unguarded(vm.store.engine):
        put(vm.store, JOBS, {"id": vm.job_id}, version=7)


def _mended(vm: Vm) -> None:
    _switched_off(vm)
    vm.store.repair(vm.wait(seconds=7).now)


def _forgotten(vm: Vm) -> None:
    vm.lose(done=2 * MIB)


CHANGES: list[Callable[[Vm], None]] = [
    _volume, _proof, _answer, _move, _stay, _polled_anew, _switched_off, _forgotten, _counted, _restated, _renumbered,
    _mended,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__.strip("_"))
def test_whatever_another_process_writes_is_seen(known: Vm, change: Callable[[Vm], None]) -> None:
    before = remembered(known)
    change(elsewhere(known))
    assert remembered(known) == stored(known)
    assert before != stored(known)


@pytest.mark.parametrize("change", [_volume, _proof, _answer, _polled_anew], ids=lambda f: f.__name__.strip("_"))
def test_an_answer_is_judged_on_what_another_process_has_written(known: Vm, change: Callable[[Vm], None]) -> None:
    asked = known.answer("running", done=5 * MIB)
    change(elsewhere(known))
    loaded = known.store.answer([asked], known.now)[0].loaded
    polls = loaded.polls
    assert loaded.facts.disks[0].volume_id == stored(known).facts.disks[0].volume_id
    assert loaded.facts.memory.disk(DISK).proven == (change is _proof)
    assert known.polling.total_polls == polls + 1
    assert loaded.facts.polling_since == stored(known).facts.polling_since


def test_a_newer_job_of_the_vm_is_seen_at_once_and_so_is_its_going(known: Vm) -> None:
    known.lose(done=2 * MIB)
    old = known.job_id
    assert not known.store.load([old])[old].facts.vm_taken
    newer = elsewhere(known).create().job_id
    assert known.store.load([old])[old].facts.vm_taken
    with known.store.engine.begin() as connection:
        connection.execute(JOBS.delete().where(JOBS.c.id == newer))
    assert not known.store.load([old])[old].facts.vm_taken


def test_what_was_rolled_back_is_not_remembered(known: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise ValueError("no room")

    with monkeypatch.context() as broken:
        broken.setattr("db.apply.refusals.note", full)
        assert known.store.answer([known.answer("running", done=9 * MIB)], known.now) == []
    assert remembered(known) == stored(known)
    assert remembered(known).facts.bytes_transferred == MIB


def test_a_deleted_job_is_gone(known: Vm) -> None:
    with known.store.engine.begin() as connection:
        connection.execute(JOBS.delete().where(JOBS.c.id == known.job_id))
    assert known.store.load([known.job_id]) == {}


def test_nothing_is_remembered_where_an_oma_writes_too(known: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.recall.is_adopted", lambda _: True)
    put(known.store, JOBS, {"id": known.job_id}, progress_percent=77.0)
    assert remembered(known).facts.percent == 77.0


@pytest.mark.parametrize("end", [_move, _forgotten, lambda vm: vm.fire(Event.FAIL)], ids=["heard", "silence", "said"])
def test_an_ended_job_takes_no_room(known: Vm, end: Callable[[Vm], None]) -> None:
    assert known.job_id in known.store._recall._known
    end(known)
    assert known.job_id not in known.store._recall._known


def test_no_more_is_remembered_than_fits(known: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.recall.MOST", 1)
    other = Vm(known.store).replicate()
    known.store.load([known.job_id])
    known.store.load([other.job_id])
    with statements(known.store) as told:
        known.store.load([known.job_id])
    assert [s for s in told if "rule_memory" in s]
