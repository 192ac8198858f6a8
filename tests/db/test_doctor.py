"""The doctor finds what disagrees, mends what follows from other rows, and leaves the rest to a person."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, update
from store_builders import DISK, MIB, NOW, OPERATOR, SIZE, Vm, rows
from unguarded import unguarded

from db.doctor import mend
from db.engine import write
from db.store import Store
from db.tables import HISTORY, JOBS, POLLING
from fsm.states import Event


def found(store: Store) -> list[tuple[str, str]]:
    return [(f.ailment.value, f.subject) for f in store.examine()]


def put_raw(store: Store, statement: Any) -> None:
    with unguarded(store.engine), write(store.engine) as connection:
        assert connection.execute(statement).rowcount == 1


def lived(store: Store) -> list[Vm]:
    """Jobs in every walk of life."""
    running, lost, failed = (Vm(store).replicate() for _ in range(3))
    lost.lose(done=MIB)
    failed.hear("failed", error="disk gone")
    twice = Vm(store).complete().wait(hours=1).replicate()
    twice.hear("completed", done=SIZE)
    revived = Vm(store).replicate().lose(done=MIB)
    revived.hear("running", done=2 * MIB)
    return [running, lost, failed, twice, revived, Vm(store).create()]


def test_whatever_jobs_live_through_the_doctor_finds_nothing(own_store: Store) -> None:
    lived(own_store)
    assert own_store.examine() == []


def test_more_jobs_than_fit_one_look_are_all_looked_at(own_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.doctor.CHUNK", 2)
    vms = lived(own_store)
    for vm in vms:
        put_raw(own_store, update(JOBS).where(JOBS.c.id == vm.job_id).values(version=JOBS.c.version + 1))
    assert sorted(found(own_store)) == sorted(("history", vm.job_id) for vm in vms)


OF_A_ROW: dict[str, tuple[str, Callable[[Vm], Any], str]] = {
    "a row that its history does not lead to": (
        "history",
        lambda vm: update(JOBS).where(JOBS.c.id == vm.job_id).values(status="attaching"),
        "its row says attaching at version 5, its history replicating at version 5",
    ),
    "a gap": (
        "history",
        lambda vm: delete(HISTORY).where(HISTORY.c.job_id == vm.job_id, HISTORY.c.seq == 2),
        "its history has a gap between 1 and 3",
    ),
    "a move from elsewhere": (
        "history",
        lambda vm: update(HISTORY).where(HISTORY.c.job_id == vm.job_id, HISTORY.c.seq == 3).values(from_state="failed"),
        "move 3 leaves failed, but the one before it led to attaching",
    ),
    "a state that there is not": (
        "unreadable",
        lambda vm: update(JOBS).where(JOBS.c.id == vm.job_id).values(ending="happy"),
        "its row makes no sense to this release; the log says why",
    ),
}


@pytest.mark.parametrize(("ailment", "harm", "says"), OF_A_ROW.values(), ids=list(OF_A_ROW))
def test_what_only_a_person_can_judge_is_told_and_left(
    own_store: Store, ailment: str, harm: Callable[[Vm], Any], says: str
) -> None:
    vm = Vm(own_store).create()
    vm.volume(DISK)
    for event in (Event.ATTACH, Event.CONFIGURE, Event.READY, Event.START):
        vm.fire(event)
    put_raw(own_store, harm(vm))
    (of_row,) = [f for f in own_store.examine() if f.ailment == ailment]
    assert (of_row.subject, of_row.mend) == (vm.job_id, None)
    assert of_row.says.replace("version 4", "version 5").endswith(says) or of_row.says == says
    own_store.repair(NOW)
    assert (ailment, vm.job_id) in found(own_store)


def test_an_end_without_its_time_is_told(own_store: Store) -> None:
    vm = Vm(own_store).replicate()
    vm.fire(Event.FAIL, OPERATOR)
    put_raw(own_store, update(JOBS).where(JOBS.c.id == vm.job_id).values(completed_at=None))
    assert found(own_store) == [("completed_at", vm.job_id)]


def test_a_context_follows_its_jobs_again(own_store: Store) -> None:
    vm = Vm(own_store).complete().wait(hours=1).replicate()
    right = dict(vm.context)
    vm.set_context(current_job_id=None, last_successful_job_id=None, successful_jobs=7)
    (ill,) = own_store.examine()
    assert (ill.ailment.value, ill.subject) == ("context", right["context_id"])
    assert "successful_jobs is 7, should be 1" in ill.says
    assert [f.subject for f in own_store.repair(NOW)] == [right["context_id"]]
    assert own_store.examine() == []
    kept = ("current_job_id", "last_successful_job_id", "successful_jobs", "current_status")
    assert [vm.context[n] for n in kept] == [right[n] for n in kept]


def test_a_context_that_points_at_an_ended_job_blocks_nobody_any_more(own_store: Store) -> None:
    vm = Vm(own_store).complete()
    vm.set_context(current_job_id=vm.job_id)
    own_store.repair(NOW)
    assert vm.context["current_job_id"] is None


def test_a_job_in_a_state_of_another_release_keeps_its_polling_and_its_vm(own_store: Store) -> None:
    vm = Vm(own_store).replicate()
    before = dict(vm.context)
    put_raw(own_store, update(JOBS).where(JOBS.c.id == vm.job_id).values(status="thawing"))
    assert sorted(found(own_store)) == [("history", vm.job_id), ("unreadable", vm.job_id)]
    assert own_store.repair(NOW) == []
    (polling,) = rows(own_store, POLLING, job_id=vm.job_id)
    assert (polling["is_active"], dict(vm.context)) == (True, before)


def test_two_unfinished_jobs_of_a_vm_are_told(own_store: Store) -> None:
    vm = Vm(own_store).complete().wait(hours=1)
    first = vm.job_id
    vm.replicate()
    put_raw(own_store, update(JOBS).where(JOBS.c.id == first).values(status="replicating", ending=None))
    told = dict(found(own_store))
    assert told["two_jobs"] == vm.context["context_id"]
    assert told["history"] == first


def test_who_must_be_polled_is_polled_again_and_who_is_over_is_not(own_store: Store) -> None:
    off, missing, over = (Vm(own_store).replicate() for _ in range(3))
    over.fire(Event.FAIL, OPERATOR)
    put_raw(own_store, update(POLLING).where(POLLING.c.job_id == off.job_id).values(is_active=False))
    put_raw(own_store, update(POLLING).where(POLLING.c.job_id == over.job_id).values(is_active=True))
    put_raw(own_store, delete(POLLING).where(POLLING.c.job_id == missing.job_id))
    ill = sorted([off.job_id, missing.job_id, over.job_id])
    assert sorted(found(own_store)) == [("polling", job_id) for job_id in ill]
    assert sorted(f.subject for f in own_store.repair(NOW)) == ill
    assert own_store.examine() == []
    assert [vm.polling.is_active for vm in (off, missing, over)] == [True, True, False]


def test_what_has_changed_since_it_was_found_is_mended_as_it_is_now(own_store: Store) -> None:
    vm, other = Vm(own_store).replicate(), Vm(own_store).replicate()
    put_raw(own_store, update(POLLING).where(POLLING.c.job_id == vm.job_id).values(is_active=False))
    other.set_context(current_job_id=None)
    findings = own_store.examine()
    for gone in (vm, other):
        gone.fire(Event.FAIL, OPERATOR)
    with write(own_store.engine) as connection:
        for finding in findings:
            mend(finding, NOW, connection)
    assert len(findings) == 2
    assert own_store.examine() == []
    assert (vm.polling.is_active, other.context["current_job_id"]) == (False, None)
