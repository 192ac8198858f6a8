"""Reading what came over the wire: total, so that any bytes give an answer and never an exception.

Only the VMA's own words decide. What is merely on the same port (a wrong URL, another program, a
proxy) is never taken for the VMA's word about a job.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final, TypedDict

import msgspec

from fsm.states import Verdict
from vma.fields import MAX_DIGITS, Fields, clean
from vma.shapes import MAX_WORD, Said, envelope, is_raw_model, raw_model
from vma.wire_models import Answer, Kind, Reply
from vma.words import Meaning, meaning_of

DATE, RETRY_AFTER = READ_FIELDS = ("date", "retry-after")  # of the header
REFUSALS: Final = (401, 403)
GATEWAY_FAILURES: Final = (502, 503, 504)
NOT_FOUND: Final = "job not found"
# With status 200 the bare text was reported from the field; with 404 it is what other programs say to a wrong URL.
NOT_FOUND_AT_200: Final = (NOT_FOUND, "not found")
_JSON_BEGINS: Final = frozenset([b"", *(bytes([c]) for c in b'{["-0123456789tfnNI')])  # NaN and Infinity too
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


class _Frame(TypedDict):
    """What an answer has whatever its body says."""

    key: str
    http_status: int
    server_date: datetime | None
    refused: bool
    retry_after: float | None
    body: bytes


def read(key: str, reply: Reply) -> Answer:
    """The answer in a reply to a question about `key`. Never raises."""
    frame = _frame(key, reply)
    if reply.status in GATEWAY_FAILURES:
        error = f"HTTP {reply.status}: a proxy finds no VMA behind it"
        return Answer(**frame, kind=Kind.UNREACHABLE, error=error)
    if reply.truncated:
        return _unintelligible(frame, f"the body is too long, reading stopped after {len(reply.body)} bytes")
    if reply.status == 200:
        return _read_200(frame, reply.body)
    if reply.status == 404 and _says_not_found(key, _parse(reply.body), (NOT_FOUND,)):
        return Answer(**frame, kind=Kind.NOT_FOUND)
    return _unintelligible(frame, _complaint(reply.status))


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


def _frame(key: str, reply: Reply) -> _Frame:
    date = _http_date(reply.header(DATE))
    return {
        "key": key,
        "http_status": reply.status,
        "server_date": date,
        "refused": reply.status in REFUSALS,
        "retry_after": _retry_after(reply.header(RETRY_AFTER), date),
        "body": reply.body,
    }


def _unintelligible(frame: _Frame, why: str) -> Answer:
    return Answer(**frame, kind=Kind.UNINTELLIGIBLE, error=f"HTTP {frame['http_status']}: {why}")


def _complaint(status: int) -> str:
    if 300 <= status < 400:
        return "a redirect, which is not followed"
    return _COMPLAINTS.get(status, "not an answer of the VMA's progress API")


# --- the body -------------------------------------------------------------------------------------


def _parse(body: bytes) -> Any:
    """The JSON value in the body; a body that is no JSON is the text it is.

    msgspec reads what is JSON to the letter. What the standard library takes beside it (NaN, halves of
    surrogate pairs) is left to that one.
    """
    if body.lstrip()[:1] not in _JSON_BEGINS:  # "job not found", mostly
        return _text(body)
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _parse_leniently(body)


def _text(body: bytes) -> str | None:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _parse_leniently(body: bytes) -> Any:
    text = _text(body)
    if text is None:
        return None
    try:
        return json.loads(text, parse_int=_int)
    except (ValueError, RecursionError):
        return text


def _int(digits: str) -> int | float:
    """Digits far beyond int64 cost quadratic time, so they are not even converted."""
    return int(digits) if len(digits) <= MAX_DIGITS else math.inf


def _read_200(frame: _Frame, body: bytes) -> Answer:
    said = _parse(body)
    if _says_not_found(frame["key"], said, NOT_FOUND_AT_200):
        return Answer(**frame, kind=Kind.NOT_FOUND)
    if not isinstance(said, dict):
        return _unintelligible(frame, "the body is empty" if not body.strip() else "the body is no JSON object")
    if not isinstance(said.get("job_id"), str) or not isinstance(said.get("status"), str):
        return _unintelligible(frame, "a JSON object without job_id and status")
    if said["job_id"] != frame["key"]:
        return _unintelligible(frame, f"the answer is about another job, {clean(said['job_id'])!r}")
    return _known(frame, said)


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


def _known(frame: _Frame, raw: dict[str, Any]) -> Answer:
    notes: list[str] = []
    fields = Fields(raw, notes)
    shape: Callable[[Fields], Said] = raw_model if is_raw_model(fields) else envelope
    word = fields.text("status", MAX_WORD) or ""
    said = shape(fields)
    meaning = meaning_of(raw["status"]) or _spoken_by_phase(word, said["phase"], fields)
    if meaning is None:
        unknown = f"HTTP {frame['http_status']}: unknown status word {word!r} in phase {said['phase']!r}"
        phase, warnings = said["phase"], tuple(notes)
        return Answer(**frame, kind=Kind.UNINTELLIGIBLE, word=word, phase=phase, error=unknown, warnings=warnings)
    if meaning is not Meaning.BROKEN and said["error"]:
        fields.note(f"error reported beside the status {word!r}: {said['error']}")
        said["error"] = None
    return Answer(**frame, **said, kind=Kind.KNOWN, word=word, meaning=meaning, warnings=tuple(notes))


def _spoken_by_phase(word: str, phase: str | None, fields: Fields) -> Meaning | None:
    """A known phase speaks for an unknown status word, but never for an end."""
    meaning = meaning_of(phase)
    if meaning is None or meaning.verdict is not Verdict.RUNNING:
        return None
    fields.note(f"unknown status word {word!r}: taken for running because of the phase {phase!r}")
    return meaning


# --- headers --------------------------------------------------------------------------------------


@lru_cache(maxsize=16)  # a server says the same date for a second
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
