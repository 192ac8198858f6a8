"""ChangeIDs, which are the only durable proof that a disk's copy ended, and volumes."""

import pytest
from sqlalchemy import insert
from store_builders import DISK, MIB, NOW, SIZE, Vm, evidence, put, rows

from db.engine import read, write
from db.errors import ConflictError, NotFoundError
from db.jobs import NewVolume
from db.store import Answer, Store
from db.tables import CBT, DISKS, VOLUMES
from db.views import volumes_of
from fsm.facts import Disk
from fsm.states import Event

FIRST, SECOND = "52 3c ec 11/7", "52 3c ec 11/9"


def prove(vm: Vm, disk_id: str = DISK, change_id: str = FIRST, previous: str | None = None) -> bool:
    return vm.store.record_change_id(vm.job_id, disk_id, change_id, previous, vm.now)


def last(vm: Vm, disk_id: str = DISK) -> str:
    return vm.store.last_change_id(f"/dc/vm/{vm.name}", disk_id)


def test_a_disk_that_was_never_copied_has_no_change_id(vm: Vm) -> None:
    assert last(vm.create()) == ""
    assert last(vm, "disk-9999") == ""


def test_a_change_id_is_kept_for_the_next_run(vm: Vm) -> None:
    vm.replicate().hear("running", done=5 * MIB)
    assert prove(vm) is True
    vm.hear("completed", done=SIZE)
    vm.wait(hours=1).create()
    assert last(vm) == FIRST
    proof = rows(vm.store, CBT, disk_id=DISK, vm_context_id=vm.context["context_id"])[0]
    assert (proof["change_id"], proof["previous_change_id"], proof["sync_type"]) == (FIRST, None, "full")
    assert (proof["sync_success"], proof["bytes_transferred"]) == (True, 5 * MIB)


def test_a_change_id_after_another_is_an_incremental_one(vm: Vm) -> None:
    vm.replicate()
    prove(vm, change_id=SECOND, previous=FIRST)
    assert rows(vm.store, CBT, job_id=vm.job_id)[0]["sync_type"] == "incremental"
    assert (vm.row["change_id"], vm.row["previous_change_id"], last(vm)) == (SECOND, FIRST, SECOND)


def test_a_proof_is_a_fact_and_shows_with_the_disk(vm: Vm) -> None:
    vm.replicate(disks=2)
    assert prove(vm, "disk-2001")
    assert [d.disk_id for d in vm.facts.memory.disks if d.proven] == ["disk-2001"]
    assert [(d["sync_status"], d["bytes_synced"], d["sync_progress_percent"]) for d in vm.disks] == [
        ("pending", 0, 0.0),
        ("completed", SIZE, 100.0),
    ]
    assert (vm.row["version"], len(vm.history)) == (4, 4)


def test_a_proof_counts_for_progress_with_the_next_answer(vm: Vm) -> None:
    vm.replicate(disks=2)
    prove(vm, "disk-2001")
    vm.hear("running", done=SIZE // 2)
    assert (vm.row["bytes_transferred"], vm.row["progress_percent"]) == (SIZE + SIZE // 2, 75.0)


def test_a_repeated_proof_is_one_proof(vm: Vm) -> None:
    vm.replicate()
    assert [prove(vm), prove(vm)] == [True, False]
    assert len(rows(vm.store, CBT, job_id=vm.job_id)) == 1


def test_a_failed_attempt_is_no_proof_and_does_not_stand_in_its_way(vm: Vm) -> None:
    vm.replicate()
    failed = {
        "vm_context_id": vm.context["context_id"],
        "job_id": vm.job_id,
        "disk_id": DISK,
        "change_id": FIRST,
        "sync_success": False,
    }
    with write(vm.store.engine) as connection:
        connection.execute(insert(CBT).values(failed))
    assert not vm.facts.memory.disk(DISK).proven
    assert prove(vm) is True
    assert vm.facts.memory.disk(DISK).proven


def test_a_proof_survives_a_vma_that_forgets(vm: Vm) -> None:
    vm.replicate()
    prove(vm)
    for _ in range(20):
        vm.wait(seconds=10).hear("not_found")
    assert vm.facts.memory.disk(DISK).proven
    assert vm.disks[0]["sync_status"] == "completed"


def test_a_proof_seen_in_an_answer_survives_one_that_says_less(vm: Vm) -> None:
    vm.replicate(disks=2)
    vm.hear("unsettled", done=SIZE, disks=evidence("completed", done=SIZE).disks)
    vm.wait(seconds=5).hear("running", done=MIB)
    assert vm.facts.memory.disk(DISK).proven
    assert vm.disks[0]["bytes_synced"] == SIZE


def test_a_proof_of_another_job_is_none_for_this_one(vm: Vm) -> None:
    vm.replicate()
    prove(vm)
    vm.hear("completed", done=SIZE)
    vm.wait(hours=1).replicate()
    assert not vm.facts.memory.disk(DISK).proven


def test_a_late_proof_of_an_older_job_does_not_report_on_the_newer_ones_disk(vm: Vm) -> None:
    older = vm.replicate().job_id
    vm.fire(Event.FAIL)
    vm.wait(hours=1).replicate()
    assert vm.store.record_change_id(older, DISK, FIRST, None, vm.now)
    assert (vm.disks[0]["job_id"], vm.disks[0]["sync_status"]) == (vm.job_id, "pending")
    assert not vm.facts.memory.disk(DISK).proven


def test_a_proof_does_not_make_an_answer_under_way_worthless(vm: Vm) -> None:
    vm.replicate()
    asked = vm.answer("running", done=MIB)
    prove(vm)
    assert len(vm.store.answer([asked], vm.now)) == 1
    assert vm.facts.memory.disk(DISK).proven


def test_what_is_unknown_is_not_found(vm: Vm) -> None:
    vm.replicate()
    with pytest.raises(NotFoundError, match="no job 'job-none'"):
        vm.store.record_change_id("job-none", DISK, FIRST, None, NOW)
    with pytest.raises(NotFoundError, match=f"no disk of job {vm.job_id} 'disk-9'"):
        prove(vm, "disk-9")
    with pytest.raises(NotFoundError, match="no VM with path '/dc/vm/none'"):
        vm.store.last_change_id("/dc/vm/none", DISK)
    assert rows(vm.store, CBT, job_id=vm.job_id) == []


# --- volumes ------------------------------------------------------------------------------------------------


def test_a_volume_is_tied_to_its_disk_and_names_its_export(vm: Vm) -> None:
    vm.create(disks=2)
    first = vm.volume("disk-2000", volume_name="root", size_gb=1, volume_type="ROOT", device_path="/dev/vdb")
    second = vm.volume("disk-2001")
    assert vm.facts.disks == (Disk("disk-2000", first, SIZE), Disk("disk-2001", second, SIZE))
    assert vm.row["nbd_export_name"] == f"migration-vol-{first}"
    with read(vm.store.engine) as connection:
        shown = [(r.disk_id, r.volume_id, r.device_path) for r in volumes_of(connection, vm.job_id)]
    assert shown == [("disk-2000", first, "/dev/vdb"), ("disk-2001", second, None)]
    row = rows(vm.store, VOLUMES, volume_id=first)[0]
    assert (row["status"], row["vm_context_id"], row["size_gb"]) == ("attached", vm.context["context_id"], 1)


def test_a_volume_that_is_recorded_again_is_brought_up_to_date(vm: Vm) -> None:
    volume = vm.create().volume(device_path="/dev/vdb")
    vm.volume(device_path="/dev/vdc", status="available")
    found = rows(vm.store, VOLUMES, volume_id=volume)
    assert [(v["device_path"], v["status"]) for v in found] == [("/dev/vdc", "available")]


def test_another_volume_may_take_the_place_of_a_disks_first(vm: Vm) -> None:
    vm.create().volume()
    second = vm.volume(volume_id=f"{vm.name}-second")
    assert vm.facts.disks[0].volume_id == second


def test_a_volume_of_an_unknown_disk_is_not_recorded(vm: Vm) -> None:
    vm.create()
    with pytest.raises(NotFoundError, match=f"no disk of job {vm.job_id} 'disk-9'"):
        vm.volume("disk-9", f"{vm.name}-v")
    with pytest.raises(NotFoundError):
        vm.store.record_volume("job-none", DISK, NewVolume(f"{vm.name}-v"), NOW)
    assert rows(vm.store, VOLUMES, volume_id=f"{vm.name}-v") == []


def test_a_volume_of_another_vm_is_a_conflict(vm: Vm, store: Store) -> None:
    owner = Vm(store).create()
    volume = owner.volume()
    vm.create()
    with pytest.raises(ConflictError, match=f"volume {volume} belongs to another VM"):
        vm.volume(volume_id=volume)
    assert vm.facts.disks[0].volume_id is None
    assert rows(store, VOLUMES, volume_id=volume)[0]["vm_context_id"] == owner.context["context_id"]


def test_a_volume_of_another_disk_is_a_conflict(vm: Vm) -> None:
    vm.create(disks=2)
    volume = vm.volume("disk-2000")
    with pytest.raises(ConflictError, match=f"volume {volume} is already that of disk disk-2000"):
        vm.volume("disk-2001", volume)
    assert [d.volume_id for d in vm.facts.disks] == [volume, None]


def test_an_omas_volume_without_a_vm_is_taken_over(vm: Vm) -> None:
    vm.create()
    with write(vm.store.engine) as connection:
        connection.execute(insert(VOLUMES).values(volume_id=f"{vm.name}-old"))
    vm.volume(volume_id=f"{vm.name}-old")
    assert vm.facts.disks[0].export_name == f"migration-vol-{vm.name}-old"


def test_an_omas_size_in_gigabytes_serves_for_a_capacity(vm: Vm) -> None:
    vm.create()
    put(vm.store, DISKS, {"job_id": vm.job_id}, capacity_bytes=0, size_gb=3)
    assert vm.facts.disks[0].capacity_bytes == 3 << 30


def test_a_disk_that_an_answer_names_and_the_job_has_not_is_remembered_but_not_written(vm: Vm) -> None:
    vm.create(disks=0)
    answer = Answer(vm.job_id, 1, evidence("running", done=MIB), asked=vm.answer("running").asked)
    assert vm.store.answer([answer], NOW)[0].decision.moved
    assert (vm.disks, vm.row["bytes_transferred"]) == ([], MIB)
