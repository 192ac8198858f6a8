"""All or nothing: wherever a process dies within a transaction, nothing of it stays; and what fails leaves nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from crashes import every_death
from store_builders import DISK, MIB, NOW, OPERATOR, POLL, SIZE, WORKFLOW, Vm, evidence, raised_by, rows

import db.change_ids
from db.errors import ConflictError
from db.jobs import NewVolume
from db.store import Answer, Store
from db.tables import CBT, CONTEXTS, DISKS, HISTORY, JOBS, POLLING, POLLS, VOLUMES
from fsm.states import Event, Verdict

Work = Callable[[Store], object]


def stored(vm: Vm) -> list[Any]:
    """All that is known of the VM."""
    contexts_of_vm = rows(vm.store, CONTEXTS, vm_name=vm.name)
    jobs_of_vm = rows(vm.store, JOBS, source_vm_name=vm.name)
    of_vm = [rows(vm.store, table, vm_context_id=c["context_id"]) for c in contexts_of_vm for table in (DISKS, VOLUMES)]
    tables = (HISTORY, POLLING, POLLS, CBT)
    of_jobs = [rows(vm.store, table, job_id=job["id"]) for job in jobs_of_vm for table in tables]
    return [contexts_of_vm, jobs_of_vm, of_vm, of_jobs]


def creation(vm: Vm) -> Work:
    new, now = vm.new(disks=2), vm.now
    return lambda store: Vm(store, now, vm.name).ask_for(new)


def creation_over_a_watched_end(vm: Vm) -> Work:
    vm.replicate().lose(done=MIB).wait(hours=1)
    new, now, about = vm.new(), vm.now, {vm.job_id: Verdict.NOT_FOUND}
    return lambda store: Vm(store, now, vm.name).ask_for(new, about)


def volume(vm: Vm) -> Work:
    job_id = vm.create().job_id
    return lambda store: store.record_volume(job_id, DISK, NewVolume(f"volume of {vm.name}"), NOW)


def proof(vm: Vm) -> Work:
    job_id = vm.replicate().job_id
    return lambda store: store.record_change_id(job_id, DISK, "52 a/1", None, NOW)


def event_of_the_workflow(vm: Vm) -> Work:
    job_id = vm.set_up().job_id
    return lambda store: store.fire(job_id, Event.START, NOW, asked=WORKFLOW)


def event_of_an_operator(vm: Vm) -> Work:
    job_id = vm.replicate().job_id
    return lambda store: store.fire(job_id, Event.COMPLETE, NOW, asked=OPERATOR)


def answer(verdict: str, done: int | None) -> Callable[[Vm], Work]:
    def prepared(vm: Vm) -> Work:
        vm.replicate().hear("running", done=MIB)
        told = vm.answer(verdict, done=done)
        return lambda store: store.answer([told], vm.now)

    return prepared


def overturn(vm: Vm) -> Work:
    told = vm.replicate().lose(done=MIB).answer("running", done=2 * MIB)
    return lambda store: store.answer([told], vm.now)


STEPS: dict[str, Callable[[Vm], Work]] = {
    "a job is created": creation,
    "a job is created over a watched end": creation_over_a_watched_end,
    "a volume is recorded": volume,
    "a disk is proven": proof,
    "the workflow starts the copy": event_of_the_workflow,
    "an operator completes it": event_of_an_operator,
    "progress is written": answer("running", 2 * MIB),
    "the copy completes": answer("completed", SIZE),
    "the copy fails": answer("failed", 2 * MIB),
    "an inference is overturned": overturn,
}


@pytest.mark.parametrize("prepare", STEPS.values(), ids=list(STEPS))
def test_wherever_the_process_dies_nothing_of_it_stays(vm: Vm, prepare: Callable[[Vm], Work]) -> None:
    work = prepare(vm)
    before, deaths = stored(vm), 0
    for step in every_death(vm.store.engine, work):
        deaths = step
        assert stored(vm) == before, f"step {step}"
    assert deaths > 2
    assert stored(vm) != before


def test_a_batch_dies_as_one(vm: Vm) -> None:
    vms = [vm.replicate(), Vm(vm.store).replicate(), Vm(vm.store).replicate().lose(done=MIB)]
    answers = [Answer(v.job_id, v.facts.version, evidence("failed", v.now, done=MIB), POLL) for v in vms]
    before = [stored(v) for v in vms]
    for step in every_death(vm.store.engine, lambda store: store.answer(answers, NOW)):
        assert [stored(v) for v in vms] == before, f"step {step}"
    assert [(v.row["status"], v.row["ending"]) for v in vms] == [("failed", "confirmed")] * 3


def test_a_proof_that_fails_half_way_leaves_nothing(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    vm.replicate()
    before = stored(vm)
    monkeypatch.setattr(db.change_ids, "disk_values", raised_by(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        vm.store.record_change_id(vm.job_id, DISK, "52 a/1", None, NOW)
    monkeypatch.undo()
    assert stored(vm) == before
    assert vm.store.record_change_id(vm.job_id, DISK, "52 a/1", None, NOW)


def test_a_volume_of_another_disk_is_not_even_renamed(vm: Vm) -> None:
    vm.create(disks=2)
    volume = vm.volume("disk-2000", volume_name="root")
    with pytest.raises(ConflictError):
        vm.store.record_volume(vm.job_id, "disk-2001", NewVolume(volume, "data"), NOW)
    assert [v["volume_name"] for v in rows(vm.store, VOLUMES, volume_id=volume)] == ["root"]
