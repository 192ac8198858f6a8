"""All or nothing: whatever fails within a transaction, nothing of it stays."""

from typing import Any

import pytest
from store_builders import MIB, NOW, OPERATOR, SIZE, Vm, raised_by, rows

import db.apply
import db.change_ids
import db.jobs
from db import contexts, polling
from db.errors import ConflictError
from db.jobs import NewVolume
from db.tables import CONTEXTS, DISKS, HISTORY, JOBS, POLLING, VOLUMES
from fsm.states import Event


class Killed(BaseException):  # nobody is to catch it
    """Stands for a process that dies here."""


WRITES_OF_A_MOVE = [
    (db.apply, "_job_values"),
    (db.apply, "_swap"),
    (db.apply, "_write_history"),
    (db.apply, "history_row"),
    (db.apply, "_write_disks"),
    (contexts, "follow"),
    (contexts, "_status"),
    (contexts, "_write"),
    (polling, "follow"),
    (polling, "_answer_values"),
    (polling, "_sample"),
    (polling, "_switch_off"),
    (db.apply, "Applied"),
]


def names(steps: list[tuple[Any, str]]) -> list[str]:
    return [f"{module.__name__}.{name}" for module, name in steps]


@pytest.mark.parametrize(("module", "step"), WRITES_OF_A_MOVE, ids=names(WRITES_OF_A_MOVE))
def test_an_end_that_dies_half_way_leaves_nothing(
    vm: Vm, monkeypatch: pytest.MonkeyPatch, module: Any, step: str
) -> None:
    vm.replicate().hear("running", done=MIB)
    before = (dict(vm.row), vm.context, vm.disks, vm.history, vm.polls)
    monkeypatch.setattr(module, step, raised_by(Killed()))
    with pytest.raises(Killed):
        vm.store.answer([vm.answer("completed", done=SIZE)], vm.now)
    monkeypatch.undo()
    assert (dict(vm.row), vm.context, vm.disks, vm.history, vm.polls) == before
    assert vm.hear("completed", done=SIZE).decision.moved


WRITES_OF_A_BIRTH = [
    (db.jobs, "_end_watch"),
    (db.jobs, "_job_row"),
    (db.jobs, "_put_disk"),
    (db.jobs, "history_row"),
    (polling, "start"),
    (contexts, "follow"),
    (contexts, "claim"),
    (contexts, "_write"),
]


def stored(vm: Vm) -> list[Any]:
    """All that is known of the VM."""
    contexts_of_vm = rows(vm.store, CONTEXTS, vm_name=vm.name)
    jobs_of_vm = rows(vm.store, JOBS, source_vm_name=vm.name)
    disks = [rows(vm.store, DISKS, vm_context_id=c["context_id"]) for c in contexts_of_vm]
    of_jobs = [rows(vm.store, table, job_id=job["id"]) for job in jobs_of_vm for table in (HISTORY, POLLING)]
    return [contexts_of_vm, jobs_of_vm, disks, of_jobs]


@pytest.mark.parametrize(("module", "step"), WRITES_OF_A_BIRTH, ids=names(WRITES_OF_A_BIRTH))
@pytest.mark.parametrize("known", [False, True], ids=["a new VM", "a known VM"])
def test_a_birth_that_dies_half_way_leaves_nothing(
    vm: Vm, monkeypatch: pytest.MonkeyPatch, module: Any, step: str, known: bool
) -> None:
    if known:
        vm.replicate().lose(done=MIB)
    before = stored(vm)
    monkeypatch.setattr(module, step, raised_by(Killed()))
    with pytest.raises(Killed):
        vm.wait(hours=1).create()
    assert stored(vm) == before


def test_a_batch_in_which_one_write_dies_leaves_nothing_of_the_others(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    vms = [vm.replicate(), Vm(vm.store).replicate(), Vm(vm.store).replicate()]
    answers = [v.answer("completed", done=SIZE) for v in vms]
    follow, calls = contexts.follow, []

    def third_dies(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 3:
            raise Killed
        follow(*args)

    monkeypatch.setattr(contexts, "follow", third_dies)
    with pytest.raises(Killed):
        vm.store.answer(answers, NOW)
    assert [(v.row["status"], len(v.history), v.context["current_status"]) for v in vms] == [
        ("replicating", 4, "replicating")
    ] * 3


def test_an_event_that_dies_half_way_leaves_nothing(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    vm.replicate()
    before = (dict(vm.row), vm.context, vm.history)
    monkeypatch.setattr(polling, "_switch_off", raised_by(Killed()))
    with pytest.raises(Killed):
        vm.fire(Event.COMPLETE, OPERATOR)
    assert (dict(vm.row), vm.context, vm.history) == before


def test_a_proof_that_dies_half_way_leaves_nothing(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    vm.replicate()
    before = (dict(vm.row), vm.disks)
    monkeypatch.setattr(db.change_ids, "disk_values", raised_by(Killed()))
    with pytest.raises(Killed):
        vm.store.record_change_id(vm.job_id, "disk-2000", "52 a/1", None, NOW)
    monkeypatch.undo()
    assert (dict(vm.row), vm.disks) == before
    assert vm.store.record_change_id(vm.job_id, "disk-2000", "52 a/1", None, NOW)


def test_a_volume_of_another_disk_is_not_even_renamed(vm: Vm) -> None:
    vm.create(disks=2)
    volume = vm.volume("disk-2000", volume_name="root")
    with pytest.raises(ConflictError):
        vm.store.record_volume(vm.job_id, "disk-2001", NewVolume(volume, "data"), NOW)
    assert [v["volume_name"] for v in rows(vm.store, VOLUMES, volume_id=volume)] == ["root"]
