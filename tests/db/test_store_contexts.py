"""The VM context follows its jobs: status, current job, counters."""

from typing import Any

import pytest
from store_builders import MIB, OPERATOR, SIZE, WORKFLOW, Vm

from fsm.facts import Asked
from fsm.states import Event

COMPLETE, FAIL = Event.COMPLETE, Event.FAIL


def status(vm: Vm) -> str:
    return str(vm.context["current_status"])


def counters(vm: Vm) -> tuple[int, int, int]:
    context = vm.context
    return context["total_jobs_run"], context["successful_jobs"], context["failed_jobs"]


def test_a_confirmed_copy_may_be_failed_over_to(vm: Vm) -> None:
    vm.complete()
    context = vm.context
    assert (context["current_status"], context["current_job_id"]) == ("ready_for_failover", None)
    assert context["last_successful_job_id"] == vm.job_id
    assert counters(vm) == (1, 1, 0)


def test_a_copy_that_an_operator_completed_may_be_failed_over_to(vm: Vm) -> None:
    vm.replicate().fire(COMPLETE, OPERATOR)
    assert (status(vm), vm.context["last_successful_job_id"]) == ("ready_for_failover", vm.job_id)
    assert counters(vm) == (1, 1, 0)


def test_an_inferred_completion_is_completed_only_and_no_success(vm: Vm) -> None:
    vm.replicate().lose(done=SIZE * 95 // 100)
    assert (vm.row["status"], status(vm)) == ("completed", "completed")
    assert (vm.context["current_job_id"], vm.context["last_successful_job_id"]) == (None, None)
    assert counters(vm) == (1, 0, 0)


@pytest.mark.parametrize("asked", [None, OPERATOR])
def test_confirmation_raises_an_inferred_completion(vm: Vm, asked: Asked | None) -> None:
    vm.replicate().lose(done=SIZE * 95 // 100).wait(seconds=5)
    if asked:
        vm.fire(COMPLETE, asked)
    else:
        vm.hear("completed", done=SIZE)
    assert (status(vm), vm.context["last_successful_job_id"]) == ("ready_for_failover", vm.job_id)
    assert counters(vm) == (1, 1, 0)


def test_the_first_copy_that_fails_leaves_nothing_to_fail_over_to(vm: Vm) -> None:
    vm.replicate().fire(FAIL)
    assert (status(vm), vm.context["current_job_id"]) == ("failed", None)
    assert counters(vm) == (1, 0, 1)


def test_a_failure_that_transferred_nothing_leaves_the_earlier_copy_good(vm: Vm) -> None:
    first = vm.complete().job_id
    vm.wait(hours=1).set_up().fire(FAIL)
    assert (status(vm), vm.context["last_successful_job_id"]) == ("ready_for_failover", first)
    assert counters(vm) == (2, 1, 1)


@pytest.mark.parametrize("answer", [{"done": MIB}, {"percent": 3.0}], ids=["by bytes", "by percent alone"])
def test_a_failure_that_transferred_something_spoils_the_earlier_copy(vm: Vm, answer: dict[str, Any]) -> None:
    first = vm.complete().job_id
    vm.wait(hours=1).replicate().hear("running", **answer)
    vm.fire(FAIL)
    assert (status(vm), vm.context["last_successful_job_id"]) == ("failed", first)


def test_a_failure_that_is_the_first_to_tell_of_progress_spoils_the_earlier_copy(vm: Vm) -> None:
    vm.complete()
    vm.wait(hours=1).replicate().hear("failed", percent=3.0)
    assert (vm.row["bytes_transferred"], status(vm)) == (0, "failed")


def test_a_failure_after_a_disk_was_copied_unseen_spoils_the_earlier_copy(vm: Vm) -> None:
    vm.complete()
    vm.wait(hours=1).replicate(disks=2)
    vm.store.record_change_id(vm.job_id, "disk-2001", "52 a/9", None, vm.now)
    vm.fire(FAIL)
    assert status(vm) == "failed"


def test_a_failure_after_progress_fell_back_to_nothing_spoils_the_earlier_copy(vm: Vm) -> None:
    vm.complete()
    vm.wait(hours=1).replicate().hear("running", done=SIZE // 2)
    vm.wait(seconds=5).hear("failed", done=0)
    assert vm.row["bytes_transferred"] == 0
    assert status(vm) == "failed"


def test_an_inferred_completion_is_no_earlier_success(vm: Vm) -> None:
    vm.replicate().lose(done=SIZE * 95 // 100)
    vm.wait(hours=1).set_up().fire(FAIL)
    assert status(vm) == "failed"


@pytest.mark.parametrize("protected", ["failed_over_test", "failed_over_live", "cleanup_required"])
def test_the_status_of_a_failover_is_never_overwritten(vm: Vm, protected: str) -> None:
    vm.replicate()
    vm.set_context(current_status=protected, last_status_change=None)
    vm.lose(done=MIB)
    assert (status(vm), vm.context["current_job_id"]) == (protected, None)
    vm.wait(seconds=5).hear("running", done=MIB)
    assert (status(vm), vm.context["current_job_id"]) == (protected, vm.job_id)
    vm.hear("completed", done=SIZE)
    assert (status(vm), vm.context["last_status_change"]) == (protected, None)
    assert (vm.context["last_successful_job_id"], counters(vm)) == (vm.job_id, (1, 1, 0))
    vm.wait(hours=1).create()
    assert (status(vm), vm.context["current_job_id"]) == (protected, vm.job_id)


def test_a_change_of_status_is_dated_and_only_that(vm: Vm) -> None:
    vm.replicate().wait(hours=1).hear("completed", done=SIZE)
    changed = vm.context["last_status_change"]
    assert changed.replace(microsecond=0) == vm.now.replace(microsecond=0)
    vm.wait(hours=1).create()
    vm.fire(FAIL)
    assert vm.context["last_status_change"] > changed


def test_an_end_that_leaves_the_status_as_it_was_does_not_date_it_anew(vm: Vm) -> None:
    vm.replicate().lose(done=MIB)
    changed = vm.context["last_status_change"]
    vm.wait(hours=1).fire(FAIL)
    assert (status(vm), vm.context["last_status_change"]) == ("failed", changed)


def test_the_current_job_is_cleared_only_if_it_is_this_one(vm: Vm) -> None:
    other = vm.complete().job_id
    vm.wait(hours=1).replicate()
    vm.set_context(current_job_id=other)
    vm.fire(FAIL)
    assert vm.context["current_job_id"] == other


def test_an_older_job_that_an_operator_rules_on_does_not_touch_the_newer_ones_context(vm: Vm) -> None:
    older = vm.replicate().lose(done=MIB).job_id
    vm.wait(hours=1).replicate()
    vm.fire(COMPLETE, OPERATOR, job_id=older)
    assert vm.store.facts(older).ending == "manual"
    assert (status(vm), vm.context["current_job_id"]) == ("replicating", vm.job_id)
    assert counters(vm) == (2, 1, 0)


def test_an_older_job_that_is_ruled_complete_does_not_heal_the_newer_ones_failure(vm: Vm) -> None:
    older = vm.replicate().lose(done=MIB).job_id
    vm.wait(hours=1).replicate().hear("running", done=MIB)
    vm.fire(FAIL)
    vm.fire(COMPLETE, OPERATOR, job_id=older)
    assert (status(vm), counters(vm)) == ("failed", (2, 1, 1))


def test_the_job_that_holds_the_vm_decides_even_if_the_clock_was_set_back(vm: Vm) -> None:
    vm.complete()
    vm.wait(hours=-1).replicate().hear("completed", done=SIZE)
    assert (status(vm), vm.context["current_job_id"], counters(vm)) == ("ready_for_failover", None, (2, 2, 0))


def test_the_last_successful_job_is_the_newest_run_that_succeeded(vm: Vm) -> None:
    older = vm.replicate().lose(done=MIB).job_id
    newer = vm.wait(hours=1).complete().job_id
    vm.wait(hours=1).fire(COMPLETE, OPERATOR, job_id=older)
    assert (vm.context["last_successful_job_id"], counters(vm)) == (newer, (2, 2, 0))


def test_a_success_without_a_date_is_not_taken_for_the_newest(vm: Vm) -> None:
    vm.complete().set_job(completed_at=None)
    newer = vm.wait(hours=1).complete().job_id
    assert vm.context["last_successful_job_id"] == newer


def test_a_repeated_end_counts_once(vm: Vm) -> None:
    vm.replicate().lose(done=MIB)
    for _ in range(3):
        vm.wait(seconds=5).fire(FAIL, WORKFLOW)
    assert counters(vm) == (1, 0, 1)


def test_counters_are_recomputed_from_the_jobs(vm: Vm) -> None:
    vm.replicate()
    vm.set_context(total_jobs_run=17, successful_jobs=4, failed_jobs=9, last_successful_job_id=None)
    vm.hear("completed", done=SIZE)
    assert counters(vm) == (1, 1, 0)


def test_reopening_takes_the_end_back(vm: Vm) -> None:
    vm.replicate().lose(done=MIB)
    assert (status(vm), vm.context["current_job_id"], counters(vm)) == ("failed", None, (1, 0, 1))
    vm.wait(seconds=5).hear("running", done=MIB)
    assert (status(vm), vm.context["current_job_id"], counters(vm)) == ("replicating", vm.job_id, (1, 0, 0))


def test_an_operator_who_reopens_a_completion_takes_its_success_back(vm: Vm) -> None:
    first = vm.complete().job_id
    vm.wait(hours=1).replicate().fire(COMPLETE, OPERATOR)
    assert vm.context["last_successful_job_id"] == vm.job_id
    vm.fire(Event.REOPEN, OPERATOR)
    assert (status(vm), vm.context["last_successful_job_id"], counters(vm)) == ("replicating", first, (2, 1, 0))


def test_an_old_omas_completed_jobs_count_as_successes(vm: Vm) -> None:
    old = vm.complete().job_id
    vm.set_job(ending=None, rule_memory=None, entered_at=None)
    vm.wait(hours=1).set_up().fire(FAIL)
    assert (vm.context["last_successful_job_id"], status(vm)) == (old, "ready_for_failover")
