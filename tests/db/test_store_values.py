"""What columns can hold: times, texts, numbers, the same on every database."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Column, String, Text
from store_builders import MIB, NOW, OPERATOR, SIZE, Vm

from db.tables import JOBS
from db.types import CUT_MARK, MARIADB
from fsm.evidence import DiskEvidence
from fsm.facts import Asked
from fsm.states import Asker, Event, Verdict

WHOLE = (
    "entered_at",
    "vma_validated_at",
    "recovery_attempted_at",
    "polling_restarted_at",
    "polling_started_polling_at",
    "polling_last_poll_at",
    "polling_created_at",
    "polling_updated_at",
)
MILLIS = ("created_at", "updated_at", "started_at")


def test_times_are_aware_utc_to_the_microsecond(vm: Vm) -> None:
    vm.replicate().hear("running", Asked(Asker.STARTUP), done=MIB)
    row = vm.row
    assert {name: row[name] for name in WHOLE} == dict.fromkeys(WHOLE, NOW)
    assert {row[name].tzinfo for name in (*WHOLE, *MILLIS)} == {UTC}
    assert vm.history[-1]["at"] == vm.polls[-1]["at"] == NOW


def test_mariadb_keeps_milliseconds_where_the_oma_does_and_cuts_the_rest(vm: Vm) -> None:
    vm.replicate()
    mariadb = vm.store.engine.dialect.name in MARIADB
    kept = NOW.replace(microsecond=123000) if mariadb else NOW
    assert {name: vm.row[name] for name in MILLIS} == dict.fromkeys(MILLIS, kept)
    stamp = NOW.replace(microsecond=0) if mariadb else NOW
    context = vm.context
    assert {context[name] for name in ("created_at", "updated_at", "last_job_at", "last_status_change")} == {stamp}


def test_a_time_of_another_zone_is_the_same_time(vm: Vm) -> None:
    vm.now = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    vm.replicate()
    assert (vm.row["entered_at"], vm.row["entered_at"].tzinfo) == (NOW, UTC)


def test_ages_are_right_after_a_round_trip(vm: Vm) -> None:
    vm.create()
    vm.wait(minutes=5, microseconds=-1).hear("not_found")
    assert vm.row["status"] == "initializing"
    vm.wait(microseconds=1).hear("not_found")
    assert vm.row["status"] == "failed"


def test_a_time_without_a_zone_is_refused_and_nothing_is_written(vm: Vm) -> None:
    vm.replicate()
    before = dict(vm.row)
    with pytest.raises(Exception, match="naive datetime"):
        vm.store.fire(vm.job_id, Event.COMPLETE, datetime(2026, 3, 2, 13), asked=OPERATOR)  # noqa: DTZ001
    assert dict(vm.row) == before


EMOJI = "\U0001f4be"
COLUMNS = {"sync_type": ("vma_sync_type", 50), "phase": ("vma_current_phase", 100)}


@pytest.mark.parametrize("letter", ["x", "ü", EMOJI], ids=["ascii", "umlaut", "emoji"])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_text_longer_than_its_column_is_cut_with_a_mark_and_the_rest_is_written(
    vm: Vm, name: str, letter: str
) -> None:
    column, length = COLUMNS[name]
    vm.replicate().hear("running", done=MIB, **{name: letter * 300})
    assert vm.row[column] == letter * (length - len(CUT_MARK)) + CUT_MARK
    assert vm.row["bytes_transferred"] == MIB


@pytest.mark.parametrize("name", COLUMNS)
def test_a_text_that_just_fits_is_not_cut(vm: Vm, name: str) -> None:
    column, length = COLUMNS[name]
    vm.replicate().hear("running", done=MIB, **{name: EMOJI * length})
    assert vm.row[column] == EMOJI * length


@pytest.mark.parametrize("letter", ["x", "ü", EMOJI], ids=["ascii", "umlaut", "emoji"])
@pytest.mark.parametrize("verdict", ["unreachable", "unintelligible", "failed", "running"])
def test_an_endless_error_is_cut_everywhere_and_the_answer_counts(vm: Vm, letter: str, verdict: str) -> None:
    vm.replicate().hear(verdict, error=letter * 70_000, operation=letter * 300)
    row = vm.row
    assert (row["polling_total_polls"], row["polling_last_verdict"]) == (1, verdict)
    texts = [row["vma_error_details"], row["polling_last_error_message"], row["error_message"], vm.polls[-1]["error"]]
    kept = [t for t in texts if t is not None]
    assert kept
    assert {(t[:9], t[-len(CUT_MARK) :]) for t in kept} == {(letter * 9, CUT_MARK)}
    if verdict == "failed":
        assert vm.history[-1]["reason"].endswith(CUT_MARK)


def test_an_operators_novel_is_cut_and_the_decision_counts(vm: Vm) -> None:
    vm.replicate().fire(Event.FAIL, Asked(Asker.OPERATOR, EMOJI * 400, EMOJI * 90_000))
    last = vm.history[-1]
    assert (len(last["actor"]), last["actor"][-len(CUT_MARK) :]) == (255, CUT_MARK)
    assert (last["reason"][:3], last["reason"][-len(CUT_MARK) :]) == (EMOJI * 3, CUT_MARK)
    assert vm.row["error_message"] == last["reason"]


def test_text_of_all_alphabets_comes_back_as_it_was(vm: Vm) -> None:
    words = f"Zürich 東京 {EMOJI} Ω \\ ' \" %s :name\n\tend"
    vm.create(vm_name=f"{vm.name} {EMOJI}", target_network=words)
    vm.store.fire(vm.job_id, Event.FAIL, NOW, asked=Asked(Asker.OPERATOR, "Jürgen", words))
    assert (vm.row["target_network"], vm.row["error_message"], vm.row["source_vm_name"][-1]) == (words, words, EMOJI)
    assert vm.history[-1]["reason"] == words


@pytest.mark.parametrize(
    ("told", "kept"),
    [(1500.0, 1500.0), (0.004, 0.0), (12.346, 12.35), (1e9, 99_999_999.0), (1e300, 99_999_999.0), (None, 0.0)],
)
def test_any_rate_fits(vm: Vm, told: float | None, kept: float) -> None:
    vm.replicate().hear("running", done=MIB, throughput_mib_s=told)
    row = vm.row
    assert row["bytes_transferred"] == MIB
    assert round(row["vma_throughput_mbps"], 2) == kept
    assert row["transfer_speed_bps"] == pytest.approx(min(told or 0.0, 99_999_999.0) * MIB, abs=1)


@pytest.mark.parametrize("odd", [float("inf"), float("nan"), -5.0])
def test_a_rate_that_is_none_does_not_cost_the_answer(vm: Vm, odd: float) -> None:
    vm.replicate().hear("running", done=MIB, throughput_mib_s=odd)
    assert (vm.row["bytes_transferred"], len(vm.polls)) == (MIB, 1)
    assert (vm.row["vma_throughput_mbps"], vm.row["transfer_speed_bps"]) == (0.0, 0)


def test_bytes_beyond_two_to_the_forty(vm: Vm) -> None:
    size = 3 * (1 << 45) + 7
    vm.replicate()
    disks = (DiskEvidence("disk-2000", Verdict.RUNNING, bytes_transferred=size - 1, total_bytes=size),)
    vm.hear("running", disks=disks, bytes_transferred=size - 1, total_bytes=size)
    assert (vm.row["bytes_transferred"], vm.row["total_bytes"]) == (size - 1, size)
    assert (vm.disks[0]["bytes_synced"], vm.polls[-1]["bytes_transferred"]) == (size - 1, size - 1)
    assert vm.facts.memory.disk("disk-2000").bytes_transferred == size - 1


@pytest.mark.parametrize(("told", "kept"), [(0, 0), (2**31 - 1, 2**31 - 1), (2**31, 2**31 - 1), (2**63, 2**31 - 1)])
def test_an_eta_beyond_its_column_is_the_longest_that_fits(vm: Vm, told: int, kept: int) -> None:
    vm.replicate().hear("running", done=MIB, eta_seconds=told)
    assert (vm.row["vma_eta_seconds"], vm.row["bytes_transferred"]) == (kept, MIB)


def test_a_percentage_is_kept_exactly(vm: Vm) -> None:
    vm.replicate().hear("running", done=SIZE // 3)
    assert vm.row["progress_percent"] == 100.0 * (SIZE // 3) / SIZE


def _bounded(column: Column[Any]) -> bool:
    return isinstance(column.type, String) and not isinstance(column.type, Text) and column.type.length is not None


def test_every_bounded_text_that_an_answer_can_fill_is_tried_here() -> None:
    ours = {"id", "vm_context_id", "status", "recovery_method", "ending", "appliance", "vma_error_classification"}
    omas = {"schedule_execution_id", "scheduled_by", "vm_group_id"}
    bounded = {c.name for c in JOBS.c if _bounded(c)}
    assert bounded - ours - omas == {column for column, _ in COLUMNS.values()}
