"""The answers that are wrong on purpose."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.responses import Response

from vma.simulator.entries import Entry
from vma.simulator.envelope import envelope
from vma.simulator.faults import FaultMode

HUGE_BYTES = 10 * 2**20
HTML = "<!doctype html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>\n"
RETRY_AFTER_S = 7

Answer = Callable[[str, datetime], Response]


def plausible(key: str, now: datetime) -> dict[str, Any]:
    """An envelope as of a copy at 49 %, whatever the map says."""
    entry = Entry(
        started=now,
        status="in_progress",
        phase="Transfer",
        sync_type="full",
        percentage=49.0,
        bytes_transferred=49 * 2**30,
        total_bytes=100 * 2**30,
        throughput_bps=100 * 2**20,
    )
    return envelope(key, entry, now)


def answer_for(mode: FaultMode, key: str, now: datetime) -> Response:
    """The whole wrong answer of `mode` to a question about `key`. KeyError for modes that are not answers."""
    return ANSWERS[mode](key, now)


def _text(status: int, text: str, **headers: str) -> Answer:
    return lambda _key, _now: Response(
        text,
        status,
        headers={"X-Content-Type-Options": "nosniff", **headers},
        media_type="text/plain",
    )


def _html(status: int) -> Answer:
    return lambda _key, _now: Response(HTML, status, media_type="text/html")


def _json(text: str) -> Answer:
    return lambda _key, _now: Response(text, media_type="application/json")


def _altered(**changes: object) -> Answer:
    return lambda key, now: Response(json.dumps({**plausible(key, now), **changes}), media_type="application/json")


def _truncated(key: str, now: datetime) -> Response:
    text = json.dumps(plausible(key, now))
    return Response(text[: len(text) // 2], media_type="application/json")


def _not_found_json(key: str, _now: datetime) -> Response:
    return Response(json.dumps({"error": "job not found", "job_id": key}), media_type="application/json")


def _huge(key: str, now: datetime) -> Response:
    return _altered(current_operation="x" * HUGE_BYTES)(key, now)


def _redirect(_key: str, _now: datetime) -> Response:
    return Response(status_code=302, headers={"Location": "/login"})


ANSWERS: dict[str, Answer] = {
    "not_found_text_200": _text(200, "job not found\n"),
    "not_found_json_200": _not_found_json,
    "garbage": _json("\x00\x07not json at all}{"),
    "empty": _json(""),
    "null": _json("null\n"),
    "truncated": _truncated,
    "html_200": _html(200),
    "html_404": _html(404),
    "wrong_url": _text(404, "404 page not found\n"),
    "401": _text(401, "unauthorized\n", **{"WWW-Authenticate": "Basic"}),
    "429": _text(429, "too many requests\n", **{"Retry-After": str(RETRY_AFTER_S)}),
    "500": _text(500, "internal server error\n"),
    "502": _html(502),
    "503": _text(503, "service unavailable\n"),
    "504": _html(504),
    "redirect": _redirect,
    "huge": _huge,
    "wrong_job": _altered(job_id="job-20200101-000000.000-5a5a5a", status="completed", percentage=100),
    "no_keys": _json('{"message":"ok"}\n'),
    "percent_string": _altered(percentage="49"),
    "unknown_word": _altered(status="Defragmenting", phase="Polishing"),
}
