"""The simulated progress map takes updates and answers as the appliance does."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from vma.simulator.progress import ProgressMap
from vma.simulator.wire import BadBodyError, ProgressUpdate, decode_update

GIB = 2**30
MIB = 2**20
NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@dataclass
class Clock:
    at: datetime = NOON

    def now(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def entries(clock: Clock) -> ProgressMap:
    return ProgressMap(clock.now)


def post(entries: ProgressMap, key: str = "job-a", **said: Any) -> bool:
    return entries.update(key, decode_update(json.dumps(said).encode()))


def read(entries: ProgressMap, key: str = "job-a") -> dict[str, Any]:
    body = entries.get(key)
    assert body is not None
    return body


def test_an_empty_first_post_makes_a_queued_entry_in_the_appliances_key_order(
    entries: ProgressMap, clock: Clock
) -> None:
    assert post(entries) is True
    clock.forward(1.5)
    assert json.dumps(read(entries), separators=(",", ":")) == (
        '{"job_id":"job-a","status":"Queued","sync_type":"","phase":"Discover","percentage":0,'
        '"current_operation":"Discovering VM","bytes_transferred":0,"total_bytes":0,'
        '"throughput":{"current_mbps":0,"average_mbps":0,"peak_mbps":0,"last_update":"2026-11-23T12:00:01Z"},'
        '"timing":{"start_time":"2026-11-23T12:00:00Z","last_update":"2026-11-23T12:00:01Z","elapsed_ms":1500,'
        '"phase_start":"2026-11-23T12:00:00Z","phase_elapsed_ms":1500,"eta_seconds":0},'
        '"vm_info":{"name":"unknown","path":"unknown","disk_size_gb":0,"disk_size_bytes":0,"cbt_enabled":false},'
        '"phases":[{"name":"Discover","status":"Queued","start_time":"2026-11-23T12:00:00Z","end_time":"",'
        '"duration_ms":1500}],"errors":[],"last_error":null}'
    )


def test_a_second_post_does_not_make_the_entry_again(entries: ProgressMap, clock: Clock) -> None:
    post(entries)
    clock.forward(60)
    assert post(entries, stage="Transfer") is False
    assert read(entries)["timing"]["start_time"] == "2026-11-23T12:00:00Z"


def test_a_percentage_of_zero_is_not_sent_so_the_old_one_stays(entries: ProgressMap) -> None:
    post(entries, stage="Preparing Migration", status="in_progress", percent=30)
    post(entries, stage="Transfer", status="in_progress", bytes_transferred=0, throughput_bps=0)
    body = read(entries)
    assert (body["phase"], body["percentage"]) == ("Transfer", 30)


def test_the_percentage_may_go_back_when_bytes_move(entries: ProgressMap) -> None:
    post(entries, stage="Preparing Migration", percent=30)
    post(entries, stage="Transfer", bytes_transferred=10 * GIB, total_bytes=40 * GIB, percent=25)
    assert read(entries)["percentage"] == 25


def test_rate_and_eta_come_from_the_last_post(entries: ProgressMap) -> None:
    post(entries, bytes_transferred=10 * GIB, total_bytes=40 * GIB, throughput_bps=100 * MIB, percent=25)
    body = read(entries)
    assert body["throughput"]["peak_mbps"] == 100
    assert body["timing"]["eta_seconds"] == 307
    assert body["vm_info"]["disk_size_gb"] == 40


def test_a_lower_case_failure_keeps_its_bytes_and_gives_no_reason(entries: ProgressMap) -> None:
    post(entries, stage="Transfer", bytes_transferred=GIB, total_bytes=10 * GIB, throughput_bps=MIB)
    post(entries, stage="Transfer", status="failed", bytes_transferred=0, error_message="disk read error")
    body = read(entries)
    assert (body["status"], body["percentage"], body["bytes_transferred"]) == ("failed", 10, GIB)
    assert (body["current_operation"], body["errors"], body["last_error"]) == ("Transferring Data", [], None)
    assert body["throughput"]["current_mbps"] == 0


@pytest.mark.parametrize(("status", "operation"), [("Failed", "Failed"), ("Succeeded", "Completed")])
def test_a_capital_ending_names_the_operation(entries: ProgressMap, status: str, operation: str) -> None:
    post(entries, stage="PersistChangeIDs", status=status)
    assert read(entries)["current_operation"] == operation


def test_an_unknown_sync_type_is_ignored_and_a_known_one_stays(entries: ProgressMap) -> None:
    post(entries, sync_type="sideways")
    assert (read(entries)["sync_type"], read(entries)["vm_info"]["cbt_enabled"]) == ("", False)
    post(entries, sync_type="incremental")
    post(entries, sync_type="sideways")
    assert (read(entries)["sync_type"], read(entries)["vm_info"]["cbt_enabled"]) == ("incremental", True)


def two_disks(entries: ProgressMap, first: int, second: int) -> None:
    for disk, done, total in (("disk-2000", first, 100 * GIB), ("disk-2001", second, 20 * GIB)):
        post(entries, stage="Transfer", status="Streaming", disk_id=disk, bytes_transferred=done, total_bytes=total)


def test_one_disk_done_reads_completed_at_58_percent(entries: ProgressMap) -> None:
    two_disks(entries, 50 * GIB, 10 * GIB)
    post(entries, status="completed", disk_id="disk-2001", bytes_transferred=20 * GIB, percent=100)
    body = read(entries)
    assert (body["status"], body["percentage"]) == ("completed", 58.333333333333336)
    assert body["disk_progresses"][1] == {
        "disk_id": "disk-2001",
        "label": "Disk disk-2001",
        "bytes_transferred": 20 * GIB,
        "total_bytes": 20 * GIB,
        "percent": 100,
        "throughput_mbps": 0,
        "status": "Streaming",
    }


def test_the_other_disks_post_turns_completed_back(entries: ProgressMap) -> None:
    two_disks(entries, 50 * GIB, 10 * GIB)
    post(entries, status="completed", disk_id="disk-2001", bytes_transferred=20 * GIB)
    post(entries, status="in_progress", disk_id="disk-2000", bytes_transferred=70 * GIB)
    assert (read(entries)["status"], read(entries)["percentage"]) == ("in_progress", 75)


def test_more_bytes_than_planned_give_more_than_100_percent(entries: ProgressMap) -> None:
    post(entries, disk_id="d0", bytes_transferred=30 * GIB, total_bytes=20 * GIB, throughput_bps=1)
    assert (read(entries)["percentage"], read(entries)["timing"]["eta_seconds"]) == (150, 0)


def test_last_update_is_now_though_nobody_posts(entries: ProgressMap, clock: Clock) -> None:
    post(entries)
    clock.forward(3600)
    timing = read(entries)["timing"]
    assert timing["last_update"] == "2026-11-23T13:00:00Z"
    assert timing["elapsed_ms"] == 3_600_000


def test_a_forgotten_key_is_unknown_and_the_next_post_starts_it_anew(entries: ProgressMap, clock: Clock) -> None:
    post(entries, sync_type="full", bytes_transferred=GIB, total_bytes=2 * GIB)
    post(entries, "job-b")
    entries.forget(["job-a"])
    assert entries.get("job-a") is None
    assert entries.keys() == ["job-b"]
    clock.forward(2)
    post(entries, stage="Transfer", bytes_transferred=GIB)
    body = read(entries)
    assert (body["sync_type"], body["timing"]["start_time"]) == ("", "2026-11-23T12:00:02Z")


def test_a_zone_of_its_own_shows_in_the_timestamps() -> None:
    clock = Clock(NOON.astimezone(timezone(timedelta(hours=2))))
    entries = ProgressMap(clock.now)
    entries.put("job-a", [ProgressUpdate()], NOON - timedelta(days=7), fresh=True)
    assert read(entries)["timing"]["start_time"] == "2026-11-16T14:00:00+02:00"


def test_a_raw_entry_is_answered_word_for_word_until_the_next_post(entries: ProgressMap) -> None:
    entries.put_raw("job-a", {"job_id": "job-a", "stage": "Transfer"})
    assert read(entries) == {"job_id": "job-a", "stage": "Transfer"}
    post(entries, status="in_progress")
    assert read(entries)["status"] == "in_progress"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "EOF"),
        (b'{"stage": "Transfer", ', "unexpected EOF"),
        (b'{"stage": "Tran', "unexpected EOF"),
        (b"<html></html>", "invalid character '<' looking for beginning of value"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"percent": NaN}', "invalid character 'N' looking for beginning of value"),
        (b"[]", "json: cannot unmarshal array into Go value of type api.ProgressUpdate"),
        (
            b'{"bytes_transferred":"lots"}',
            "json: cannot unmarshal string into Go struct field ProgressUpdate.bytes_transferred of type int64",
        ),
        (
            b'{"bytes_transferred":1.5}',
            "json: cannot unmarshal number 1.5 into Go struct field ProgressUpdate.bytes_transferred of type int64",
        ),
        (
            b'{"bytes_transferred":9223372036854775808}',
            "json: cannot unmarshal number 9223372036854775808 into Go struct field"
            " ProgressUpdate.bytes_transferred of type int64",
        ),
        (b'{"stage":true}', "json: cannot unmarshal bool into Go struct field ProgressUpdate.stage of type string"),
    ],
)
def test_a_bad_body_is_refused_in_the_appliances_words(body: bytes, text: str) -> None:
    with pytest.raises(BadBodyError) as refused:
        decode_update(body)
    assert str(refused.value) == f"invalid request body: {text}"


def test_null_and_trailing_garbage_are_accepted() -> None:
    assert decode_update(b"null") == ProgressUpdate()
    assert decode_update(b'{"stage":"Transfer","unknown":[]} trailing') == ProgressUpdate(stage="Transfer")
