"""Values of the machine to and from columns."""

from datetime import datetime
from math import isfinite
from typing import Any

import msgspec

from fsm.evidence import Evidence
from fsm.facts import JobFacts
from fsm.guard import GuardVerdict
from fsm.memory import Memory

Json = dict[str, Any]
_MAX_RATE = 99_999_999.0
_BLANK = Memory()


def rate_of(evidence: Evidence) -> float | None:
    """The throughput in MiB/s as a decimal(10,2) holds it; None if there is none, or it is no number."""
    told = evidence.throughput_mib_s
    return None if told is None or not isfinite(told) else min(max(told, 0.0), _MAX_RATE)


def _plain(value: Any) -> str:
    """A time of a subclass of datetime, as a frozen clock gives them."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} has no place in JSON")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)


def to_json(value: Any) -> msgspec.Raw:
    """A value of the machine as a column keeps it: JSON that goes in as it is."""
    return msgspec.Raw(_ENCODER.encode(value))


def memory_from_json(stored: Json | None) -> Memory:
    """The memory of a row; blank for a row that has none. ValueError."""
    return msgspec.convert(stored, Memory) if stored else _BLANK


def evidence_from_json(stored: Json) -> Evidence:
    """Evidence as history kept it. ValueError."""
    return msgspec.convert(stored, Evidence)


def facts_from_json(stored: Json) -> JobFacts:
    """A job's facts as history kept them. ValueError."""
    return msgspec.convert(stored, JobFacts)


def verdicts_from_json(stored: list[Json]) -> tuple[GuardVerdict, ...]:
    """Guard verdicts as history kept them. ValueError."""
    return msgspec.convert(stored, tuple[GuardVerdict, ...])
