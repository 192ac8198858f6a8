"""The progress of a job: bytes over all its disks, by what is proven and what was last seen."""

from dataclasses import replace

from fsm.evidence import Evidence
from fsm.facts import Disk, JobFacts
from fsm.memory import DiskMemory, remember


def absorb(facts: JobFacts, evidence: Evidence) -> JobFacts:
    """The facts with what the answer adds: memory, sign of life, progress. State and version are untouched."""
    memory = remember(facts.memory, evidence, setup=facts.in_setup)
    heard = evidence.observed_at if evidence.verdict.knows_the_job else facts.heard_at
    return with_progress(replace(facts, memory=memory, heard_at=heard), evidence)


def with_progress(facts: JobFacts, evidence: Evidence) -> JobFacts:
    """The facts with progress taken anew; an answer that lacks it leaves it alone."""
    if not evidence.verdict.knows_the_job:
        return facts
    done, total = _bytes(facts, evidence)
    if total > 0:
        return replace(facts, percent=_percent(done, total), bytes_transferred=done, total_bytes=total)
    if evidence.percent is not None:
        return replace(facts, percent=evidence.percent)
    return facts


def _bytes(facts: JobFacts, evidence: Evidence) -> tuple[int, int]:
    if not facts.disks:
        total = evidence.total_bytes or facts.total_bytes
        return min(evidence.bytes_transferred or 0, total), total
    counted = [_disk_bytes(d, facts.memory.disk(d.disk_id)) for d in facts.disks]
    return sum(done for done, _ in counted), sum(total for _, total in counted)


def _disk_bytes(disk: Disk, seen: DiskMemory) -> tuple[int, int]:
    """(done, total); a disk never seen counts 0 of its capacity, a proven one all of its total."""
    total = seen.total_bytes or disk.capacity_bytes
    return (total if seen.proven else min(seen.bytes_transferred or 0, total)), total


def _percent(done: int, total: int) -> float:
    return max(0.0, min(100.0, 100.0 * done / total))
