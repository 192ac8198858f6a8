"""Birth of a job: its VM context, its disks, and one unfinished job per VM."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from uuid import uuid4

import pytest
from store_builders import DISK, MIB, NOW, SIZE, Vm, rows

from db.errors import ConflictError
from db.jobs import NewDisk, new_job_id
from db.load import Disk
from db.tables import CONTEXTS, DISKS, JOBS
from fsm.decision import Decision, Outcome
from fsm.states import Event, Verdict


def test_a_vm_without_a_context_gets_one(vm: Vm) -> None:
    vm.create(datacenter="dc-1")
    context = vm.context
    assert re.fullmatch(r"ctx-20260302-120000-[0-9a-f]{8}", context["context_id"])
    assert (context["vmware_vm_id"], context["vm_path"]) == (f"id-{vm.name}", f"/dc/vm/{vm.name}")
    assert (context["vcenter_host"], context["datacenter"]) == ("vcenter-1", "dc-1")


def test_a_second_job_of_a_vm_uses_its_context(vm: Vm) -> None:
    first = vm.complete().context
    second = vm.wait(hours=1).create().context
    assert (second["context_id"], second["total_jobs_run"]) == (first["context_id"], 2)
    assert second["last_job_at"] > second["first_job_at"]
    assert second["first_job_at"] == first["first_job_at"]


def test_a_renamed_vm_is_known_by_its_vmware_id(vm: Vm) -> None:
    before = vm.complete().context["context_id"]
    vm.wait(hours=1).create(vm_name=f"{vm.name}-new")
    found = rows(vm.store, CONTEXTS, vmware_vm_id=f"id-{vm.name}")
    assert [(c["context_id"], c["vm_name"]) for c in found] == [(before, f"{vm.name}-new")]


def test_the_same_vmware_id_in_another_vcenter_is_another_vm(vm: Vm) -> None:
    vm.create()
    assert vm.ask_for(vm.new(vcenter_host="vcenter-2")).moved
    found = rows(vm.store, CONTEXTS, vmware_vm_id=f"id-{vm.name}")
    assert {c["vcenter_host"] for c in found} == {"vcenter-1", "vcenter-2"}


def test_a_vm_that_matches_two_contexts_is_refused_by_their_names(vm: Vm) -> None:
    other = Vm(vm.store).create()
    vm.create()
    with pytest.raises(ConflictError, match="matches two contexts") as raised:
        vm.ask_for(vm.new(vmware_vm_id=f"id-{other.name}"))
    assert vm.context["context_id"] in str(raised.value)
    assert other.context["context_id"] in str(raised.value)


def test_each_run_points_the_disks_to_itself_and_keeps_their_volumes(vm: Vm) -> None:
    vm.replicate(disks=2)
    volumes = [d["ossea_volume_id"] for d in vm.disks]
    vm.hear("running", done=MIB)
    vm.fire(Event.FAIL)
    first = vm.job_id
    vm.wait(hours=1).create(disks=2)
    assert [(d["job_id"], d["ossea_volume_id"]) for d in vm.disks] == [(vm.job_id, v) for v in volumes]
    assert [(d["sync_status"], d["bytes_synced"], d["sync_progress_percent"]) for d in vm.disks] == [
        ("pending", 0, 0.0)
    ] * 2
    assert [d.export_name for d in vm.facts.disks] == [f"migration-vol-{vm.name}-disk-{n}" for n in (2000, 2001)]
    assert vm.store.facts(first).disks == ()


def test_disks_are_copied_in_the_order_of_their_units(vm: Vm) -> None:
    disks = (NewDisk("disk-b", SIZE, unit_number=1), NewDisk("disk-a", SIZE, unit_number=0), NewDisk("disk-c", SIZE))
    vm.create(disks=0)
    vm.fire(Event.FAIL)
    vm.wait(hours=1)
    assert vm.ask_for(replace(vm.new(), disks=disks, job_id=f"job-{vm.name}")).moved
    assert [d.disk_id for d in vm.store.facts(f"job-{vm.name}").disks] == ["disk-a", "disk-b", "disk-c"]


def test_a_disk_that_grew_has_its_new_size(vm: Vm) -> None:
    vm.complete().wait(hours=1)
    vm.job_id = vm.ask_for(replace(vm.new(), disks=(NewDisk(DISK, 3 * SIZE),))).after.job_id
    assert vm.facts.disks == (Disk(DISK, f"{vm.name}-{DISK}", 3 * SIZE),)
    assert vm.row["total_bytes"] == 3 * SIZE


def test_a_vm_with_an_unfinished_job_is_refused_and_nothing_is_written(vm: Vm) -> None:
    vm.replicate()
    before = (vm.context, vm.disks)
    decision = vm.wait(hours=1).ask_for()
    assert decision.outcome is Outcome.REFUSED
    assert vm.job_id in decision.says
    assert (vm.context, vm.disks) == before
    assert len(rows(vm.store, JOBS, source_vm_name=vm.name)) == 1


@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        (None, False),
        (Verdict.RUNNING, False),
        (Verdict.UNREACHABLE, False),
        (Verdict.NOT_FOUND, True),
        (Verdict.COMPLETED, True),
        (Verdict.UNINTELLIGIBLE, True),
    ],
)
def test_an_inferred_end_under_watch_is_asked_about_first(vm: Vm, said: Verdict | None, allowed: bool) -> None:
    vm.replicate().lose(done=MIB)
    assert vm.store.vm_facts(vm.new()).watched_job == vm.job_id
    decision = vm.ask_for(about={} if said is None else {vm.job_id: said})
    assert decision.moved is allowed, decision.says
    assert (vm.row["watched"], vm.polling.is_active) == (not allowed, not allowed)
    assert vm.row["status"] == "failed"


def test_what_was_said_of_another_job_does_not_count(vm: Vm) -> None:
    vm.replicate().lose(done=MIB)
    assert not vm.ask_for(about={"job-other": Verdict.NOT_FOUND}).moved


def test_the_ended_watch_of_an_older_job_is_not_reopened_by_a_late_answer(vm: Vm) -> None:
    vm.replicate().lose(done=MIB)
    older, late = vm.job_id, vm.answer("running", done=2 * MIB)
    vm.wait(minutes=1).create()
    applied = vm.store.answer([late], vm.now)
    assert [a.decision.outcome for a in applied] == [Outcome.IGNORED]
    assert vm.store.facts(older).state == "failed"
    assert vm.context["current_job_id"] == vm.job_id


def test_an_unknown_vm_has_nothing_in_its_way(vm: Vm) -> None:
    facts = vm.store.vm_facts(vm.new())
    assert (facts.unfinished_job, facts.watched_job) == (None, None)


def test_a_job_id_that_exists_is_a_conflict(vm: Vm) -> None:
    vm.create()
    before = rows(vm.store, CONTEXTS, vcenter_host="vcenter-1")
    with pytest.raises(ConflictError, match=f"a job {vm.job_id} exists already"):
        Vm(vm.store).create(job_id=vm.job_id)
    assert rows(vm.store, CONTEXTS, vcenter_host="vcenter-1") == before


def test_ids_that_differ_in_case_are_two_jobs(vm: Vm) -> None:
    vm.create(job_id=f"JOB-{vm.name}")
    other = Vm(vm.store).create(job_id=f"job-{vm.name}")
    assert (vm.facts.job_id, other.facts.job_id) == (f"JOB-{vm.name}", f"job-{vm.name}")


def test_the_id_that_the_workflow_gives_is_kept(vm: Vm) -> None:
    vm.create(job_id=f"job-{vm.name}")
    assert vm.row["id"] == f"job-{vm.name}"


def test_ids_are_in_the_omas_form() -> None:
    assert re.fullmatch(r"job-20260302-120000\.123-[0-9a-f]{6}", new_job_id(NOW))
    assert re.fullmatch(r"job-20260302-120000\.007-[0-9a-f]{6}", new_job_id(NOW.replace(microsecond=7999)))


def _create_together(vm: Vm, jobs: int) -> list[Decision]:
    barrier = Barrier(jobs)

    def create(_: int) -> Decision:
        new = vm.new(job_id=f"job-{uuid4().hex}")
        barrier.wait(10)
        return vm.ask_for(new)

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(create, range(jobs)))


def _assert_one_won(vm: Vm, decisions: list[Decision]) -> None:
    winners = [d.after.job_id for d in decisions if d.moved]
    assert len(winners) == 1
    assert all(winners[0] in d.says for d in decisions if not d.moved)
    active = [r["id"] for r in rows(vm.store, JOBS, source_vm_name=vm.name, status="initializing")]
    assert active == winners
    assert vm.context["current_job_id"] == winners[0]
    assert [d["job_id"] for d in rows(vm.store, DISKS, vm_context_id=vm.context["context_id"])] == winners


def test_two_who_create_the_first_job_of_a_vm_at_once_do_not_both_get_it(vm: Vm) -> None:
    decisions = _create_together(vm, 3)
    _assert_one_won(vm, decisions)
    assert vm.context["total_jobs_run"] == 1


def test_two_who_create_the_next_job_of_a_vm_at_once_do_not_both_get_it(vm: Vm) -> None:
    vm.complete().wait(hours=1)
    _assert_one_won(vm, _create_together(vm, 3))
    assert vm.context["total_jobs_run"] == 2


def test_the_next_job_of_a_vm_is_the_newer_one_although_the_clock_was_set_back(vm: Vm) -> None:
    old = vm.complete().job_id
    new = vm.wait(hours=-1).create().job_id
    assert vm.store.facts(old).vm_taken
    assert not vm.store.facts(new).vm_taken
    assert vm.facts.created_at > vm.store.facts(old).created_at
    assert vm.facts.entered_at == vm.now
