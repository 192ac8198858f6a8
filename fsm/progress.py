"""The progress of a job: bytes over all its disks, by what is proven and what was last seen."""

from math import isnan

from msgspec.structs import replace

from fsm.evidence import Evidence
from fsm.facts import JobFacts
from fsm.memory import Memory, remember
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy

Progress = tuple[float, int, int]  # percent, bytes done, bytes in all


def absorb(facts: JobFacts, evidence: Evidence, policy: RecoveryPolicy = DEFAULT_POLICY) -> JobFacts:
    """The facts with what the answer adds: memory, sign of life, progress. State and version are untouched.

    An answer that lacks the progress leaves it alone.
    """
    memory = remember(facts.memory, evidence, setup=facts.in_setup, policy=policy)
    if not evidence.verdict.knows_the_job:
        return replace(facts, memory=memory)
    percent, done, total = _of_the_disks(facts, memory, evidence) if facts.disks else _of_the_answer(facts, evidence)
    return replace(facts, memory=memory, heard_at=evidence.observed_at,
                   percent=percent, bytes_transferred=done, total_bytes=total)  # fmt: skip


def _of_the_answer(facts: JobFacts, evidence: Evidence) -> Progress:
    """The progress of a job whose disks are not known: what the answer says of the whole."""
    total = max(evidence.total_bytes or facts.total_bytes, 0)
    if evidence.bytes_transferred is None or not total:
        return _by_percent(facts, evidence)
    done = max(0, min(evidence.bytes_transferred, total))
    return 100.0 * done / total, done, total


def _of_the_disks(facts: JobFacts, memory: Memory, evidence: Evidence) -> Progress:
    """A disk never seen counts 0 of its capacity, a proven one all of its total.

    One of unknown size weighs as much as its brothers, and nothing of it is done until it is proven.
    """
    done = total = weighed = 0
    for disk in facts.disks:
        seen = memory.disk(disk.disk_id)
        size, copied = seen.total_bytes or disk.capacity_bytes, seen.bytes_transferred or 0
        done += size if seen.proven or copied > size else copied if copied > 0 else 0
        total += size
        weighed += seen.proven or size > 0
    if total and _brings_bytes(evidence):
        return 100.0 * done / total * (weighed / len(facts.disks)), done, total
    # A percentage may be one disk's: it never speaks for several.
    return _by_percent(facts, evidence) if len(facts.disks) == 1 else _as_it_was(facts)


def _brings_bytes(evidence: Evidence) -> bool:
    for disk in evidence.disks:  # noqa: SIM110 - a loop costs half of any() here
        if disk.proven or disk.bytes_transferred is not None:
            return True
    return False


def _by_percent(facts: JobFacts, evidence: Evidence) -> Progress:
    if evidence.percent is None or isnan(evidence.percent):
        return _as_it_was(facts)
    return max(0.0, min(100.0, evidence.percent)), facts.bytes_transferred, facts.total_bytes


def _as_it_was(facts: JobFacts) -> Progress:
    return facts.percent, facts.bytes_transferred, facts.total_bytes
