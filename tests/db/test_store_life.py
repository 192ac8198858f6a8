"""A job's whole life by events and answers: which rows stand after each step."""

from datetime import timedelta
from typing import Any

import pytest
from store_builders import MIB, NOW, OPERATOR, SIZE, STARTUP, Vm

from db.codec import evidence_from_json, facts_from_json
from db.errors import NotFoundError
from fsm.decision import Outcome
from fsm.facts import JobFacts
from fsm.states import Asker, Event, State


def columns(vm: Vm, *names: str) -> tuple[Any, ...]:
    return tuple(vm.row[name] for name in names)


def folded(vm: Vm) -> JobFacts:
    """The job by its history alone."""
    return facts_from_json(vm.history[-1]["facts"])


def assert_history_folds_to_the_row(vm: Vm) -> None:
    rows, row = vm.history, vm.row
    assert [h["seq"] for h in rows] == list(range(1, row["version"] + 1))
    assert [h["from_state"] for h in rows] == [None, *(h["to_state"] for h in rows[:-1])]
    last = rows[-1]
    assert (last["to_state"], last["ending"], last["at"]) == (row["status"], row["ending"], row["entered_at"])
    facts = folded(vm)
    assert (facts.state, facts.ending or None, facts.version) == (row["status"], row["ending"], row["version"])
    assert (facts.watched, facts.entered_at) == (row["watched"], row["entered_at"])
    assert (facts.percent, facts.bytes_transferred) == (row["progress_percent"], row["bytes_transferred"])
    assert facts.total_bytes == row["total_bytes"]
    assert facts.heard_at == row["vma_validated_at"]
    assert facts.recovery_method == row["recovery_method"]


def test_a_new_job_stands_in_every_table(vm: Vm) -> None:
    vm.create(disks=2)
    row, context = vm.row, vm.context
    assert columns(vm, "status", "version", "ending", "watched") == ("initializing", 1, None, False)
    assert (row["source_vm_name"], row["source_vm_id"], row["v_center_host"]) == (vm.name, f"id-{vm.name}", "vcenter-1")
    assert (row["total_bytes"], row["progress_percent"], row["started_at"]) == (2 * SIZE, 0.0, None)
    assert [(d["disk_id"], d["job_id"], d["unit_number"], d["capacity_bytes"]) for d in vm.disks] == [
        ("disk-2000", vm.job_id, 0, SIZE),
        ("disk-2001", vm.job_id, 1, SIZE),
    ]
    assert (context["current_status"], context["current_job_id"]) == ("replicating", vm.job_id)
    assert (context["total_jobs_run"], context["successful_jobs"], context["failed_jobs"]) == (1, 0, 0)
    assert (vm.polling.is_active, vm.polling.started_polling_at, vm.polling.next_due_at) == (True, NOW, NOW)
    assert [(h["event"], h["from_state"], h["to_state"]) for h in vm.history] == [("create", None, "initializing")]
    assert_history_folds_to_the_row(vm)


def test_a_job_goes_from_creation_to_a_confirmed_end_step_by_step(vm: Vm) -> None:
    vm.create()
    vm.volume()
    for event, state in (
        (Event.ATTACH, "attaching"),
        (Event.CONFIGURE, "configuring"),
        (Event.READY, "ready_for_sync"),
    ):
        assert vm.wait(seconds=1).fire(event).decision.moved
        assert columns(vm, "status", "entered_at", "started_at") == (state, vm.now, None)
        assert_history_folds_to_the_row(vm)
    vm.wait(seconds=1).fire(Event.START)
    started = vm.now
    assert (vm.row["status"], vm.polling.started_polling_at) == ("replicating", started)
    assert abs(vm.row["started_at"] - started) < timedelta(milliseconds=1)
    vm.wait(seconds=5).hear("running", done=SIZE // 4, throughput_mib_s=12.5, eta_seconds=60, phase="copying")
    assert columns(vm, "version", "progress_percent", "bytes_transferred") == (5, 25.0, SIZE // 4)
    assert columns(vm, "vma_throughput_mbps", "vma_eta_seconds", "vma_current_phase") == (12.5, 60, "copying")
    assert [(d["sync_status"], d["sync_progress_percent"], d["bytes_synced"]) for d in vm.disks] == [
        ("syncing", 25.0, SIZE // 4)
    ]
    assert (len(vm.history), vm.context["current_status"]) == (5, "replicating")
    vm.wait(seconds=5).hear("completed", done=SIZE)
    assert columns(vm, "status", "ending", "version", "progress_percent") == ("completed", "confirmed", 6, 100.0)
    assert abs(vm.row["completed_at"] - vm.now) < timedelta(milliseconds=1)
    assert (vm.disks[0]["sync_status"], vm.disks[0]["bytes_synced"]) == ("completed", SIZE)
    assert (vm.polling.is_active, vm.polling.next_due_at) == (False, None)
    assert (vm.context["current_status"], vm.context["current_job_id"]) == ("ready_for_failover", None)
    assert_history_folds_to_the_row(vm)


def test_history_says_who_asked_by_which_rule_and_on_which_evidence(vm: Vm) -> None:
    vm.replicate()
    told = vm.answer("failed", error="disk died")
    vm.store.answer([told], vm.now)
    last = vm.history[-1]
    assert (last["event"], last["edge"], last["asked_by"], last["reason"]) == (
        "vma_failed",
        "broke",
        "poll",
        "disk died",
    )
    assert evidence_from_json(last["evidence"]) == told.evidence
    assert last["policy_hash"] == vm.store.policy.fingerprint
    assert columns(vm, "status", "error_message", "vma_error_details") == ("failed", "disk died", "disk died")


def test_history_keeps_the_operator_and_the_guards_verdicts(vm: Vm) -> None:
    vm.replicate().fire(Event.COMPLETE, OPERATOR)
    last = vm.history[-1]
    assert (last["actor"], last["reason"], last["ending"]) == ("anna", OPERATOR.reason, "manual")
    assert {v["name"] for v in last["verdicts"]} >= {"by_operator", "has_reason"}


def test_an_inferred_end_is_overturned_and_later_confirmed_and_its_history_tells_it_all(vm: Vm) -> None:
    vm.replicate().lose(done=SIZE // 2)
    assert columns(vm, "status", "ending", "watched") == ("failed", "inferred", True)
    assert vm.row["error_message"] == "job lost on VMA"
    assert_history_folds_to_the_row(vm)
    vm.wait(seconds=5).hear("running", done=SIZE // 2 + MIB)
    assert columns(vm, "status", "ending", "watched", "completed_at", "error_message") == (
        "replicating", None, False, None, None,
    )  # fmt: skip
    assert_history_folds_to_the_row(vm)
    vm.wait(seconds=5).hear("completed", done=SIZE)
    assert [h["edge"] for h in vm.history[4:]] == ["lost", "runs_after_all", "done"]
    assert_history_folds_to_the_row(vm)


def test_a_copy_that_runs_although_its_setup_was_given_up_has_a_start(vm: Vm) -> None:
    vm.create().wait(minutes=6).hear("not_found")
    assert columns(vm, "status", "ending", "started_at") == ("failed", "inferred", None)
    vm.wait(seconds=5).hear("running", done=MIB)
    assert vm.row["status"] == "replicating"
    assert abs(vm.row["started_at"] - vm.now) < timedelta(milliseconds=1)


def test_a_copy_that_is_reopened_keeps_its_first_start(vm: Vm) -> None:
    vm.replicate()
    started = vm.row["started_at"]
    vm.lose(done=MIB).wait(seconds=5).hear("running", done=MIB)
    assert (vm.row["status"], vm.row["started_at"]) == ("replicating", started)


def test_progress_raises_neither_version_nor_history(vm: Vm) -> None:
    vm.replicate()
    for step in range(1, 5):
        vm.wait(seconds=5).hear("running", done=step * MIB)
    assert (vm.row["version"], len(vm.history), vm.row["bytes_transferred"]) == (4, 4, 4 * MIB)


def test_an_answer_without_progress_does_not_wipe_it(vm: Vm) -> None:
    vm.replicate().hear("running", done=SIZE // 2)
    for verdict in ("running", "unintelligible", "not_found", "unreachable"):
        vm.wait(seconds=5).hear(verdict)
        assert columns(vm, "progress_percent", "bytes_transferred", "total_bytes") == (50.0, SIZE // 2, SIZE)


def test_errors_of_the_vma_are_shown_with_the_job_until_it_answers(vm: Vm) -> None:
    vm.replicate().hear("unreachable", error="connect timeout")
    assert columns(vm, "vma_error_classification", "vma_error_details") == ("unreachable", "connect timeout")
    vm.hear("running", done=MIB)
    assert columns(vm, "vma_error_classification", "vma_error_details") == (None, None)


def test_what_the_rules_counted_survives_the_row(vm: Vm) -> None:
    vm.replicate().hear("running", done=MIB)
    decisions = [vm.wait(seconds=5).hear("not_found").decision for _ in range(2)]
    assert vm.facts.memory == decisions[-1].after.memory
    assert vm.facts.memory.not_found is not None
    assert vm.facts.memory.not_found.count == 2


def test_a_refused_event_changes_nothing(vm: Vm) -> None:
    vm.create(disks=0)
    before = dict(vm.row)
    applied = vm.wait(seconds=5).fire(Event.ATTACH)
    assert (applied.decision.outcome, applied.next_due_at is not None) == (Outcome.REFUSED, False)
    assert (dict(vm.row), len(vm.history)) == (before, 1)


def test_an_illegal_event_changes_nothing(vm: Vm) -> None:
    vm.create()
    before = dict(vm.row)
    assert vm.wait(seconds=5).fire(Event.REOPEN, OPERATOR).decision.outcome is Outcome.ILLEGAL
    assert dict(vm.row) == before


def test_a_dry_run_tells_the_decision_and_changes_nothing(vm: Vm) -> None:
    vm.replicate()
    before = dict(vm.row)
    told = vm.store.dry_run(vm.job_id, Event.COMPLETE, vm.now, asked=OPERATOR)
    assert (told.after.state, dict(vm.row)) == (State.COMPLETED, before)
    assert vm.fire(Event.COMPLETE, OPERATOR).decision == told


def test_a_repeated_event_has_one_effect(vm: Vm) -> None:
    vm.set_up()
    first, second = vm.fire(Event.START), vm.fire(Event.START)
    assert (first.decision.outcome, second.decision.outcome) == (Outcome.MOVED, Outcome.STAYED)
    assert (vm.row["version"], len(vm.history)) == (4, 4)


def test_an_unknown_job_is_not_found(vm: Vm) -> None:
    with pytest.raises(NotFoundError, match="no job 'job-none'"):
        vm.store.fire("job-none", Event.START, NOW, asked=OPERATOR)
    with pytest.raises(NotFoundError):
        vm.store.facts("job-none")
    with pytest.raises(NotFoundError):
        vm.store.dry_run("job-none", Event.START, NOW, asked=OPERATOR)


# --- recovery bookkeeping ----------------------------------------------------------------------------


def recovery(vm: Vm) -> tuple[Any, ...]:
    return columns(vm, "recovery_attempted", "recovery_attempted_at", "recovery_method")


def test_a_polled_answer_is_no_recovery(vm: Vm) -> None:
    vm.replicate().hear("running", done=MIB)
    assert recovery(vm) == (False, None, None)
    assert columns(vm, "polling_restarted_at", "vma_validated_at") == (None, vm.now)


def test_a_start_up_that_finds_a_job_running_validates_it_and_restarts_its_polling(vm: Vm) -> None:
    vm.replicate().wait(minutes=5).hear("running", STARTUP, done=MIB)
    assert recovery(vm) == (True, vm.now, "vma_validated")
    assert columns(vm, "polling_restarted_at", "vma_validated_at") == (vm.now, vm.now)


def test_a_start_up_that_hears_nothing_is_an_attempt_without_a_method(vm: Vm) -> None:
    vm.replicate().hear("running", done=MIB)
    heard = vm.now
    vm.wait(minutes=5).hear("unreachable", STARTUP)
    assert recovery(vm) == (True, vm.now, None)
    assert columns(vm, "vma_validated_at", "polling_restarted_at") == (heard, vm.now)


def test_a_start_up_that_finds_the_job_completed_ends_it_by_evidence_and_restarts_nothing(vm: Vm) -> None:
    vm.replicate().wait(minutes=5).hear("completed", STARTUP, done=SIZE)
    assert recovery(vm) == (True, vm.now, "vma_validated")
    assert columns(vm, "status", "polling_restarted_at") == ("completed", None)


def test_a_job_ended_by_silence_after_a_start_up_is_a_timeout(vm: Vm) -> None:
    vm.replicate().hear("unreachable", STARTUP)
    attempted = vm.now
    vm.lose()
    assert recovery(vm) == (True, attempted, "timeout")


def test_an_operators_decision_is_manual(vm: Vm) -> None:
    vm.replicate().fire(Event.FAIL, OPERATOR)
    assert recovery(vm) == (False, None, "manual")
    assert vm.history[-1]["asked_by"] == Asker.OPERATOR


def test_a_second_recovery_dates_its_attempt_anew(vm: Vm) -> None:
    vm.replicate().hear("running", STARTUP, done=MIB)
    vm.wait(hours=1).hear("running", STARTUP, done=2 * MIB)
    assert recovery(vm) == (True, vm.now, "vma_validated")
    assert len(vm.history) == 4
