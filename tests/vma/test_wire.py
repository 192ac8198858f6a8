"""Each kind of reply is read as what it is."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from vma_answers import DATE, GIB, JOB, NOT_FOUND, NOW, envelope, http, ok, row

from fsm.evidence import KeyEntry
from fsm.states import Verdict
from vma.wire import read, read_health
from vma.wire_models import Answer, DiskRow, Generation, Kind, Reply
from vma.words import Meaning


def read_ok(**fields: Any) -> Answer:
    return read(JOB, ok(envelope(**fields)))


# --- known ------------------------------------------------------------------------------------------


def test_an_envelope_is_read_field_by_field() -> None:
    start = datetime(2026, 11, 23, 13, 30, tzinfo=timezone(timedelta(hours=2)))
    answer = read_ok(
        status="Streaming", percentage=25, bytes_transferred=GIB, total_bytes=4 * GIB, rate=99.5, eta=31, start=start
    )
    assert answer == Answer(
        JOB,
        Kind.KNOWN,
        http_status=200,
        word="Streaming",
        meaning=Meaning.COPYING,
        phase="Transfer",
        operation="Transferring Data",
        sync_type="full",
        bytes_transferred=GIB,
        total_bytes=4 * GIB,
        percent=25.0,
        rate_mib_s=99.5,
        eta_seconds=31,
        start_time=datetime(2026, 11, 23, 11, 30, tzinfo=UTC),
        server_date=NOW,
        body=answer.body,
        generation=Generation.ENVELOPE,
    )
    assert answer.verdict is Verdict.RUNNING
    assert answer.excerpt.startswith('{"job_id": "job-2026')


def test_the_rows_of_several_disks_are_read() -> None:
    answer = read_ok(disk_progresses=[row("disk-2000", 5, 10), row("disk-2001", 10, 10)])
    assert answer.disks == (
        DiskRow("disk-2000", 5, 10, 50.0, "Streaming"),
        DiskRow("disk-2001", 10, 10, 100.0, "Streaming"),
    )
    assert [(r.short, r.full) for r in answer.disks] == [(True, False), (False, True)]


def test_the_raw_model_of_older_appliances_is_read() -> None:
    answer = read(
        JOB,
        ok(
            {
                "job_id": JOB,
                "stage": "Transfer",
                "status": "Streaming",
                "started_at": "2026-11-23T11:00:00+01:00",
                "updated_at": "2026-11-23T11:30:00+01:00",
                "aggregate": {"total_bytes": 200, "bytes_transferred": 50, "throughput_bps": 3 * 2**20, "percent": 25},
                "cbt": {"type": "incremental"},
                "nbd": {"host": "x"},
                "disks": [
                    {"disk_id": "a", "bytes_transferred": 50, "total_bytes": 100, "percent": 50, "status": "Streaming"},
                    {"id": "b", "bytes_transferred": 0, "planned_bytes": 100},
                ],
            }
        ),
    )
    assert (answer.kind, answer.verdict, answer.phase, answer.sync_type) == (
        *(Kind.KNOWN, Verdict.RUNNING),
        *("Transfer", "incremental"),
    )
    assert (answer.bytes_transferred, answer.total_bytes, answer.percent, answer.rate_mib_s) == (50, 200, 25.0, 3.0)
    assert answer.start_time == datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    assert answer.disks == (DiskRow("a", 50, 100, 50.0, "Streaming"), DiskRow("b", 0, 100, None, ""))
    assert answer.warnings == ()


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *(("Succeeded", Verdict.COMPLETED), ("COMPLETED", Verdict.COMPLETED), ("completed", Verdict.COMPLETED)),
        *(("Failed", Verdict.FAILED), ("error", Verdict.FAILED), ("Queued", Verdict.RUNNING)),
        *(("starting", Verdict.RUNNING), ("Snapshotting", Verdict.RUNNING), ("Finalizing", Verdict.RUNNING)),
    ],
)
def test_the_status_word_decides(status: str, verdict: Verdict) -> None:
    answer = read_ok(status=status, phase="Transfer", percentage=40)
    assert (answer.kind, answer.verdict, answer.word) == (Kind.KNOWN, verdict, status)


def test_completed_without_any_bytes_is_completed() -> None:
    assert read_ok(status="completed", percentage=100).verdict is Verdict.COMPLETED


def test_a_hundred_percent_and_running_is_running() -> None:
    assert read_ok(status="in_progress", percentage=100, bytes_transferred=9, total_bytes=9).verdict is Verdict.RUNNING


def test_queued_with_moving_bytes_is_running() -> None:
    assert read_ok(status="Queued", phase="Discover", bytes_transferred=5, total_bytes=9).verdict is Verdict.RUNNING


def test_unknown_keys_are_tolerated() -> None:
    answer = read_ok(novelty={"a": [1]}, vm_info={"disk_size_gb": 18.57, "name": "x"})
    assert (answer.kind, answer.warnings) == (Kind.KNOWN, ())


def test_a_vm_named_not_found_is_known() -> None:
    answer = read_ok(vm_info={"name": "job not found", "path": "not found"}, current_operation="job not found")
    assert answer.verdict is Verdict.RUNNING


# --- unknown words ----------------------------------------------------------------------------------


def test_an_unknown_status_word_beside_a_known_phase_is_running_with_a_warning() -> None:
    answer = read_ok(status="Throttled", phase="Transfer")
    assert (answer.verdict, answer.word) == (Verdict.RUNNING, "Throttled")
    assert "unknown status word 'Throttled'" in answer.warnings[0]


@pytest.mark.parametrize("phase", ["Paused", "Completed", "Error", "", None, 7])
def test_an_unknown_status_word_is_unintelligible_if_the_phase_is_unknown_or_an_end(phase: object) -> None:
    answer = read_ok(status="Throttled", phase=phase)
    assert (answer.kind, answer.verdict, answer.word) == (Kind.UNINTELLIGIBLE, None, "Throttled")
    assert "unknown status word 'Throttled'" in (answer.error or "")


# --- odd numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "percent"),
    [
        ("NaN", None),
        ("-1", 0.0),
        ("250", 100.0),
        ('"42"', None),
        ("null", None),
        ("Infinity", None),
        ("true", None),
        ("[]", None),
    ],
)
def test_an_odd_percentage_is_clamped_or_ignored_with_a_warning(raw: str, percent: float | None) -> None:
    body = json.dumps(envelope(percentage="HERE", bytes_transferred=5, total_bytes=9)).replace('"HERE"', raw)
    answer = read(JOB, ok(body.encode()))
    assert (answer.percent, answer.bytes_transferred, answer.verdict) == (percent, 5, Verdict.RUNNING)
    assert answer.warnings
    assert answer.warnings[0].startswith("percentage is ")


def test_an_absent_percentage_is_no_oddity() -> None:
    body = envelope()
    del body["percentage"]
    answer = read(JOB, ok(body))
    assert (answer.percent, answer.warnings) == (None, ())


@pytest.mark.parametrize(
    ("raw", "count", "warned"),
    [
        *(("-5", 0, True), ("7", 7, False), ("7.0", 7, False), ("7.5", None, True), ("1e400", None, True)),
        *((str(2**63 - 1), 2**63 - 1, False), (str(2**63), None, True), ("9" * 5000, None, True)),
        *(('"7"', None, True), ("null", None, True), ("false", None, True)),
    ],
)
def test_odd_bytes_count_nothing_and_are_warned_of(raw: str, count: int | None, warned: bool) -> None:
    body = json.dumps(envelope(bytes_transferred="HERE")).replace('"HERE"', raw)
    answer = read(JOB, ok(body.encode()))
    assert (answer.kind, answer.bytes_transferred, bool(answer.warnings)) == (Kind.KNOWN, count, warned)


def test_warnings_are_bounded() -> None:
    answer = read_ok(disk_progresses=[row("", 1, 2) | {"bytes_transferred": None} for _ in range(50)])
    assert len(answer.warnings) <= 10


def test_a_duplicate_key_is_no_error() -> None:
    body = json.dumps(envelope())[:-1] + ', "status": "completed"}'
    assert read(JOB, ok(body.encode())).verdict is Verdict.COMPLETED


def test_fields_of_the_wrong_type_are_ignored_with_a_warning() -> None:
    answer = read_ok(timing=[], throughput="fast", disk_progresses={"a": 1}, sync_type=5, errors="none")
    assert (answer.verdict, answer.start_time, answer.rate_mib_s, answer.disks, answer.sync_type) == (
        *(Verdict.RUNNING, None, None),
        *((), None),
    )
    assert len(answer.warnings) == 5


# --- times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("2026-11-23T19:24:33.75287506Z", datetime(2026, 11, 23, 19, 24, 33, 752875, UTC)),
        ("2026-11-23T21:24:33+02:00", datetime(2026, 11, 23, 19, 24, 33, tzinfo=UTC)),
        ("2026-11-23T21:24:33", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_start_time_is_aware_or_unknown(text: str, at: datetime | None) -> None:
    assert read_ok(timing={"start_time": text}).start_time == at


@pytest.mark.parametrize("date", ["", "soon", "Mon, 99 Nov 2026 12:00:00 GMT", "Mon, 23 Nov 99999999 12:00:00 GMT"])
def test_an_odd_date_header_is_unknown(date: str) -> None:
    assert read(JOB, Reply(200, {"Date": date}, b"{}")).server_date is None


def test_an_eta_of_zero_is_unknown() -> None:
    assert read_ok(eta=0).eta_seconds is None


# --- errors[] -------------------------------------------------------------------------------------


def error(message: str, *, recoverable: bool) -> dict[str, object]:
    return {"timestamp": DATE, "phase": "copying_data", "error_type": "system", "message": message} | {
        "recoverable": recoverable
    }


def test_a_recoverable_error_while_running_is_a_warning() -> None:
    answer = read_ok(status="running", errors=[error("retry 3", recoverable=True)])
    assert (answer.verdict, answer.error, answer.warnings) == (Verdict.RUNNING, None, ("recoverable error: retry 3",))


def test_even_an_unrecoverable_error_does_not_outvote_the_status_word() -> None:
    answer = read_ok(status="running", errors=[error("disk gone", recoverable=False)])
    assert (answer.verdict, answer.error) == (Verdict.RUNNING, None)
    assert "disk gone" in answer.warnings[0]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"errors": [], "last_error": None}, None),
        ({"errors": ["no space", "link lost"]}, "link lost"),
        ({"errors": [error("read failed", recoverable=False), error("retry", recoverable=True)]}, "read failed"),
        ({"errors": ["old"], "last_error": error("last words", recoverable=False)}, "last words"),
        ({"errors": [7, None], "last_error": "plain"}, "plain"),
        ({"errors": [{"message": 7}]}, None),
    ],
)
def test_a_failure_carries_the_reason_if_there_is_one(fields: dict[str, object], reason: str | None) -> None:
    answer = read_ok(status="failed", **fields)
    assert (answer.verdict, answer.error) == (Verdict.FAILED, reason)


# --- not found ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        NOT_FOUND,
        http(404, b"Job not found: " + JOB.encode() + b"\n"),
        http(404, b'{"error":"job not found"}'),
        ok(b"job not found\n"),
        ok(b"JOB NOT FOUND"),
        ok(b'"job not found"'),
        ok(b"not found"),
        ok({"error": "job not found", "job_id": JOB, "status": "error"}),
        ok({"error": "Job not found: " + JOB}),
    ],
)
def test_the_vma_says_not_found_in_many_ways(reply: Reply) -> None:
    answer = read(JOB, reply)
    assert (answer.kind, answer.verdict, answer.entry) == (Kind.NOT_FOUND, None, KeyEntry(absent=True))


@pytest.mark.parametrize(
    "reply",
    [
        http(404, b"404 page not found\n"),
        http(404, b"<html>job not found</html>"),
        http(404, b""),
        http(404, b"Not Found"),
        http(404, b'{"detail":"Not Found"}'),
        http(404, b"Job not found: job-other"),
        ok(b"<html><title>job not found</title></html>"),
        ok(b"Job not found: job-other"),
        ok({"error": "database gone"}),
        http(500, b"job not found\n"),
        http(400, b"job not found\n"),
    ],
)
def test_what_another_program_says_is_not_not_found(reply: Reply) -> None:
    answer = read(JOB, reply)
    assert (answer.kind, answer.entry) == (Kind.UNINTELLIGIBLE, None)
    assert f"HTTP {reply.status}" in (answer.error or "")


# --- garbage --------------------------------------------------------------------------------------

GARBAGE = {
    "empty": b"",
    "blank": b" \n",
    "null": b"null",
    "true": b"true",
    "number": b"42",
    "list": b"[]",
    "no keys": b"{}",
    "percentage only": b'{"percentage":"49"}',
    "no status": json.dumps({"job_id": JOB, "percentage": 100}).encode(),
    "no job_id": b'{"status":"completed"}',
    "null status": json.dumps({"job_id": JOB, "status": None}).encode(),
    "numeric status": json.dumps({"job_id": JOB, "status": 1}).encode(),
    "truncated": json.dumps(envelope(status="completed")).encode()[:-40],
    "trailing": json.dumps(envelope(status="completed")).encode() + b" trailing",
    "two values": json.dumps(envelope(status="completed")).encode() * 2,
    "html": b"<html><body>completed</body></html>",
    "latin-1": '{"job_id":"ä"}'.encode("latin-1"),
    "utf-16": json.dumps(envelope(status="completed")).encode("utf-16"),
    "deep": b"[" * 200_000,
    "deep object": b'{"a":' * 200_000,
    "lone surrogate": b'{"job_id":"\\ud800","status":"completed"}',
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_unintelligible(body: bytes) -> None:
    answer = read(JOB, ok(body))
    assert (answer.kind, answer.verdict, answer.percent, answer.bytes_transferred) == (
        *(Kind.UNINTELLIGIBLE, None),
        *(None, None),
    )
    assert (answer.error or "").startswith("HTTP 200: ")


def test_an_envelope_about_another_job_is_unintelligible() -> None:
    answer = read(JOB, ok(envelope("job-other", "completed")))
    assert (answer.kind, answer.error) == (
        Kind.UNINTELLIGIBLE,
        "HTTP 200: the answer is about another job, 'job-other'",
    )


@pytest.mark.parametrize("status", [200, 404])
def test_a_truncated_body_is_unintelligible_whatever_it_holds(status: int) -> None:
    for body in (json.dumps(envelope(status="completed")).encode(), b"job not found"):
        answer = read(JOB, Reply(status, {}, body, truncated=True))
        assert (answer.kind, "too long" in (answer.error or "")) == (Kind.UNINTELLIGIBLE, True)


@pytest.mark.parametrize("status", [100, 204, 206, 301, 302, 308, 400, 401, 403, 405, 429, 500, 501, 505, 599])
def test_any_other_status_is_unintelligible_even_with_a_perfect_body(status: int) -> None:
    answer = read(JOB, http(status, json.dumps(envelope(status="completed")).encode()))
    assert (answer.kind, answer.verdict) == (Kind.UNINTELLIGIBLE, None)
    assert (answer.error or "").startswith(f"HTTP {status}: ")
    assert answer.refused is (status in (401, 403))


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_failure_is_unreachable(status: int) -> None:
    answer = read(JOB, http(status, b"job not found"))
    assert (answer.kind, answer.entry) == (Kind.UNREACHABLE, None)
    assert f"HTTP {status}" in (answer.error or "")


# --- headers and texts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("9" * 400, 999999999.0),
        *((odd, None) for odd in ("-5", "1.5", "soon", "", "²")),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, seconds: float | None) -> None:
    assert read(JOB, http(429, b"", **{"RETRY-AFTER": value})).retry_after == seconds


def test_a_retry_after_date_is_never_compared_with_our_clock() -> None:
    assert read(JOB, Reply(429, {"Retry-After": "Mon, 23 Nov 2026 12:00:30 GMT"}, b"")).retry_after is None


def test_the_excerpt_is_bounded_and_harmless() -> None:
    body = b"\x1b[31mred\x00\r\nFAKE LOG LINE \xe2\x80\xae\xff" + b"x" * 100_000
    excerpt = read(JOB, http(500, body)).excerpt
    assert excerpt.startswith("\\x1b[31mred\\x00  FAKE LOG LINE \\u202e�xxx")
    assert len(excerpt) == 2000
    assert excerpt.isprintable()


def test_all_texts_of_the_vma_are_bounded_and_harmless() -> None:
    nasty = "<script>\x07\n" + "y" * 5000
    answer = read_ok(
        status="failed",
        phase=nasty,
        current_operation=nasty,
        sync_type=nasty,
        errors=[nasty],
        disk_progresses=[row(nasty, 1, 2, nasty)],
    )
    texts = [
        answer.phase,
        answer.operation,
        answer.sync_type,
        answer.error,
        answer.disks[0].disk_id,
        answer.disks[0].word,
    ]
    assert all(text and text.isprintable() and len(text) <= 300 and text.startswith("<script>\\x07 ") for text in texts)


def test_a_key_entry_tells_what_was_seen() -> None:
    answer = read_ok(status="completed", bytes_transferred=9, total_bytes=9, percentage=100)
    assert answer.entry == KeyEntry(False, NOW - timedelta(minutes=30), "completed", 9, 100.0)


# --- percentages that count -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "phase", "percent", "counted"),
    [
        ("in_progress", "Preparing Migration", 30, None),
        ("in_progress", "Setting up NBD", 20, None),
        ("in_progress", "Transfer", 30, None),  # left standing from set-up
        ("in_progress", "Transfer", 31, 31.0),
        ("running", "copying_data", 20.2, 20.2),
        ("running", "Novelty", 40, 40.0),
        ("Queued", "Novelty", 40, None),
    ],
)
def test_only_percentages_of_bytes_copied_count(status: str, phase: str, percent: float, counted: float | None) -> None:
    answer = read_ok(status=status, phase=phase, percentage=percent)
    assert answer.counted(answer.percent) == counted


# --- health ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "reachable", "healthy"),
    [
        (ok({"status": "healthy", "uptime": "661ns"}), True, True),
        (ok({"status": "degraded\n"}), True, False),
        (ok(b"null"), True, False),
        (ok(b"\xff"), True, False),
        (http(404, b"404 page not found"), True, False),
        (http(500, b'{"status":"healthy"}'), True, False),
        (http(503), False, False),
    ],
)
def test_health_is_read(reply: Reply, reachable: bool, healthy: bool) -> None:
    health = read_health(reply)
    assert (health.reachable, health.healthy, health.error is None) == (reachable, healthy, healthy)
