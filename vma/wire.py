"""Reading what came over the wire: total, so that any bytes give an answer and never an exception.

Only the VMA's own words decide. What is merely on the same port (a wrong URL, another program, a
proxy) is never taken for the VMA's word about a job.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from fsm.states import Verdict
from vma.fields import Fields, clean
from vma.shapes import MAX_WORD, envelope, is_raw_model, raw_model
from vma.wire_models import Answer, Kind, Reply
from vma.words import Meaning, meaning_of

EXCERPT: Final = 2000
REFUSALS: Final = (401, 403)
GATEWAY_FAILURES: Final = (502, 503, 504)
NOT_FOUND: Final = "job not found"
# With status 200 the bare text was reported from the field; with 404 it is what other programs say to a wrong URL.
NOT_FOUND_AT_200: Final = (NOT_FOUND, "not found")
_COMPLAINTS: Final = {
    401: "the VMA wants credentials",
    403: "the VMA turns us away",
    404: "not the VMA's progress API: wrong URL, or another program on the port",
    405: "not the VMA's progress API, or another version of it",
    429: "the VMA asks for fewer questions",
    500: "the VMA has an error of its own",
}


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """What the health endpoint said. `error` says what is wrong, None if healthy."""

    reachable: bool
    healthy: bool
    error: str | None = None


def read(key: str, reply: Reply) -> Answer:
    """The answer in a reply to a question about `key`. Never raises."""
    blank = _blank(key, reply)
    if reply.status in GATEWAY_FAILURES:
        return replace(blank, kind=Kind.UNREACHABLE, error=f"HTTP {reply.status}: a proxy finds no VMA behind it")
    if reply.truncated:
        return _unintelligible(blank, f"the body is too long, reading stopped after {len(reply.body)} bytes")
    if reply.status == 200:
        return _read_200(blank, reply.body)
    if reply.status == 404 and _says_not_found(key, _parse(reply.body), (NOT_FOUND,)):
        return replace(blank, kind=Kind.NOT_FOUND)
    return _unintelligible(blank, _complaint(reply.status))


def read_health(reply: Reply) -> HealthAnswer:
    """What a reply of the health endpoint says. Never raises."""
    if reply.status in GATEWAY_FAILURES:
        return HealthAnswer(False, False, f"HTTP {reply.status}: a proxy finds no VMA behind it")
    said = _parse(reply.body)
    status = said.get("status") if isinstance(said, dict) else None
    if reply.status == 200 and isinstance(status, str) and not reply.truncated:
        healthy = status.casefold() == "healthy"
        return HealthAnswer(True, healthy, None if healthy else f"the VMA says it is {clean(status)!r}")
    return HealthAnswer(True, False, f"HTTP {reply.status}: not the answer of a VMA")


def unheard(key: str, kind: Kind, error: str) -> Answer:
    """The answer when no reply came at all."""
    return Answer(key, kind, error=clean(error))


def _blank(key: str, reply: Reply) -> Answer:
    date = _http_date(reply.header("date"))
    return Answer(
        key,
        Kind.UNINTELLIGIBLE,
        http_status=reply.status,
        server_date=date,
        refused=reply.status in REFUSALS,
        retry_after=_retry_after(reply.header("retry-after"), date),
        excerpt=clean(reply.body[: EXCERPT * 2].decode("utf-8", errors="replace").strip(), EXCERPT),
        body=reply.body,
    )


def _unintelligible(blank: Answer, why: str) -> Answer:
    return replace(blank, kind=Kind.UNINTELLIGIBLE, error=f"HTTP {blank.http_status}: {why}")


def _complaint(status: int) -> str:
    if 300 <= status < 400:
        return "a redirect, which is not followed"
    return _COMPLAINTS.get(status, "not an answer of the VMA's progress API")


# --- the body -------------------------------------------------------------------------------------


def _parse(body: bytes) -> Any:
    """The JSON value in the body; a body that is no JSON is the text it is."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    try:
        return json.loads(text, parse_int=_int)
    except (ValueError, RecursionError):
        return text


def _int(digits: str) -> int | float:
    """Digits far beyond int64 cost quadratic time, so they are not even converted."""
    return int(digits) if len(digits) <= 20 else math.inf


def _read_200(blank: Answer, body: bytes) -> Answer:
    said = _parse(body)
    if _says_not_found(blank.key, said, NOT_FOUND_AT_200):
        return replace(blank, kind=Kind.NOT_FOUND)
    if not isinstance(said, dict):
        return _unintelligible(blank, "the body is empty" if not body.strip() else "the body is no JSON object")
    if not isinstance(said.get("job_id"), str) or not isinstance(said.get("status"), str):
        return _unintelligible(blank, "a JSON object without job_id and status")
    if said["job_id"] != blank.key:
        return _unintelligible(blank, f"the answer is about another job, {clean(said['job_id'])!r}")
    return _known(blank, said)


def _says_not_found(key: str, said: Any, texts: tuple[str, ...]) -> bool:
    """True for the VMA's "job not found", plain or as JSON error; never for an envelope that only mentions it."""
    if isinstance(said, dict):
        said = said.get("error")
    if not isinstance(said, str):
        return False
    text = said.strip()
    start, colon, named = text.partition(":")
    about_key = not colon or named.strip() in ("", key)
    return about_key and start.casefold() in texts


def _known(blank: Answer, said: dict[str, Any]) -> Answer:
    notes: list[str] = []
    fields = Fields(said, notes)
    shape: Callable[[Answer, Fields], Answer] = raw_model if is_raw_model(fields) else envelope
    answer = shape(replace(blank, word=fields.text("status", MAX_WORD) or ""), fields)
    meaning = meaning_of(said["status"]) or _spoken_by_phase(answer, fields)
    if meaning is None:
        unknown = f"unknown status word {answer.word!r} in phase {answer.phase!r}"
        return replace(_unintelligible(blank, unknown), word=answer.word, phase=answer.phase, warnings=tuple(notes))
    if meaning is not Meaning.BROKEN and answer.error:
        fields.note(f"error reported beside the status {answer.word!r}: {answer.error}")
    error = answer.error if meaning is Meaning.BROKEN else None
    return replace(answer, kind=Kind.KNOWN, meaning=meaning, error=error, warnings=tuple(notes))


def _spoken_by_phase(answer: Answer, fields: Fields) -> Meaning | None:
    """A known phase speaks for an unknown status word, but never for an end."""
    meaning = meaning_of(answer.phase)
    if meaning is None or meaning.verdict is not Verdict.RUNNING:
        return None
    fields.note(f"unknown status word {answer.word!r}: taken for running because of the phase {answer.phase!r}")
    return meaning


# --- headers --------------------------------------------------------------------------------------


def _http_date(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        date = parsedate_to_datetime(value)
        return date.replace(tzinfo=date.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _retry_after(value: str | None, server_date: datetime | None) -> float | None:
    """Seconds to wait. A date is compared with the server's own date only."""
    digits = (value or "").strip()
    if digits.isascii() and digits.isdigit():
        return float(int(digits[:9]))
    until = _http_date(value)
    if until is None or server_date is None:
        return None
    return max((until - server_date).total_seconds(), 0.0)
