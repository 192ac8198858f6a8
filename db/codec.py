"""Values of the machine to and from columns."""

from collections.abc import Iterable
from math import isfinite
from typing import Any

import msgspec
from pydantic import TypeAdapter

from fsm.evidence import Evidence
from fsm.facts import JobFacts
from fsm.guard import GuardVerdict
from fsm.memory import Memory

Json = dict[str, Any]
_MAX_RATE = 99_999_999.0

_MEMORY = TypeAdapter(Memory)
_EVIDENCE = TypeAdapter(Evidence)
_FACTS = TypeAdapter(JobFacts)
_VERDICTS = TypeAdapter(tuple[GuardVerdict, ...])


def rate_of(evidence: Evidence) -> float | None:
    """The throughput in MiB/s as a decimal(10,2) holds it; None if there is none, or it is no number."""
    told = evidence.throughput_mib_s
    return None if told is None or not isfinite(told) else min(max(told, 0.0), _MAX_RATE)


def memory_to_json(memory: Memory) -> Json:
    """Only what differs from a blank memory is stored: a row is written at every poll."""
    out: Json = _MEMORY.dump_python(memory, mode="json", exclude_defaults=True)
    return out


def memory_from_json(stored: Json | None) -> Memory:
    """The memory of a row; blank for a row that has none."""
    return _MEMORY.validate_python(stored or {})


def evidence_to_json(evidence: Evidence | None) -> Json | None:
    """Evidence as history keeps it."""
    return None if evidence is None else _EVIDENCE.dump_python(evidence, mode="json", exclude_defaults=True)


def evidence_from_json(stored: Json) -> Evidence:
    """Evidence as history kept it."""
    return _EVIDENCE.validate_python(stored)


def facts_to_json(facts: JobFacts) -> msgspec.Raw:
    """A job's facts as history keeps them: JSON that goes into a column as it is."""
    return msgspec.Raw(msgspec.json.encode(facts))


def facts_from_json(stored: Json) -> JobFacts:
    """A job's facts as history kept them."""
    return _FACTS.validate_python(stored)


def verdicts_to_json(verdicts: Iterable[GuardVerdict]) -> msgspec.Raw:
    """Guard verdicts as history and API show them: JSON that goes into a column as it is."""
    return msgspec.Raw(msgspec.json.encode(tuple(verdicts)))


def verdicts_from_json(stored: list[Json]) -> tuple[GuardVerdict, ...]:
    """Guard verdicts as history kept them."""
    return _VERDICTS.validate_python(stored)
