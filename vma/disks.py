"""What all answers say of one disk."""

from typing import Final

from msgspec import Struct

from fsm.evidence import DiskEvidence
from fsm.facts import Disk
from fsm.states import Verdict
from vma.hearing import Hearing
from vma.wire_models import Answer, DiskRow, Kind
from vma.words import Meaning

_UNSPOKEN: Final = {Kind.UNREACHABLE: Verdict.UNREACHABLE, Kind.UNINTELLIGIBLE: Verdict.UNINTELLIGIBLE}


class Said(Struct, frozen=True, gc=False):
    """What one answer says of one disk. Bytes, percent 0-100; None = not said."""

    verdict: Verdict
    bytes_transferred: int | None = None
    total_bytes: int | None = None
    percent: float | None = None

    @classmethod
    def of(cls, verdict: Verdict, answer: Answer, numbers: Answer | DiskRow, capacity: int) -> "Said":
        """With bytes from a percentage of the capacity if the answer knows no total."""
        done, total = numbers.bytes_transferred, numbers.total_bytes
        if total:
            return cls(verdict, done, total, share_of(done, total))
        if not done and numbers.percent is None:  # 0 of 0 bytes, and no percentage that can be read
            return cls(verdict)
        percent = answer.counted(numbers.percent)
        if percent and capacity > 0 and not done:
            return cls(verdict, round(capacity * percent / 100), capacity, percent)
        return cls(verdict, done, None, percent)

    @property
    def unfinished(self) -> bool:
        """True if the disk is seen short of its total."""
        return self.bytes_transferred is not None and self.bytes_transferred < (self.total_bytes or 0)


def look(hearing: Hearing) -> tuple[DiskEvidence, ...]:
    """The evidence on every disk of the job, or on those the VMA names if we know none."""
    if hearing.question.disks:
        return tuple(_evidence(hearing, disk) for disk in hearing.question.disks)
    return tuple(_unknown_disk(hearing, row) for row in hearing.own_rows)


def share_of(done: int | None, total: int | None) -> float | None:
    """`done` in percent of `total`, clamped to 0-100; None if either is unknown."""
    return None if done is None or not total else min(100.0 * done / total, 100.0)


def _evidence(hearing: Hearing, disk: Disk) -> DiskEvidence:
    export = hearing.export(disk)
    entry = export.entry if export else None
    said = _said(hearing, disk)
    if disk.disk_id in hearing.proven:
        total = (said.total_bytes if said else 0) or _known_total(hearing, disk)
        return DiskEvidence(disk.disk_id, Verdict.COMPLETED, True, total, total, 100.0, entry=entry)
    if said is None:
        return DiskEvidence(disk.disk_id, _silence(hearing, export), entry=entry)
    numbers = (said.bytes_transferred, said.total_bytes, said.percent)
    return DiskEvidence(disk.disk_id, said.verdict, False, *numbers, unfinished=said.unfinished, entry=entry)


def _known_total(hearing: Hearing, disk: Disk) -> int | None:
    return hearing.question.memory.disk(disk.disk_id).total_bytes or disk.capacity_bytes or None


def _unknown_disk(hearing: Hearing, row: DiskRow) -> DiskEvidence:
    """A disk that only the VMA knows: proven by its bytes alone."""
    own = hearing.own_known
    if own is None:
        raise AssertionError("rows come from a known answer")
    said = Said.of(_row_verdict(hearing, row), own, row, 0)
    proven = own.verdict is Verdict.COMPLETED and row.full
    return DiskEvidence(
        row.disk_id,
        Verdict.COMPLETED if proven else said.verdict,
        proven,
        said.bytes_transferred,
        said.total_bytes,
        said.percent,
        unfinished=said.unfinished,
    )


def _silence(hearing: Hearing, export: Answer | None) -> Verdict:
    """The verdict on a disk of which no answer speaks."""
    kinds = [a.kind for a in (export, hearing.own) if a is not None]
    return next((verdict for kind, verdict in _UNSPOKEN.items() if kind in kinds), Verdict.NOT_FOUND)


def _said(hearing: Hearing, disk: Disk) -> Said | None:
    fresh = hearing.fresh(disk)
    if fresh is not None and fresh.verdict is not None:
        return Said.of(fresh.verdict, fresh, fresh, disk.capacity_bytes)
    own = hearing.own_known
    if own is None:
        return None
    row = hearing.row(disk)
    if row is not None:
        return Said.of(_row_verdict(hearing, row), own, row, disk.capacity_bytes)
    if disk is _in_work(hearing):
        return Said.of(_own_verdict_on_disk(hearing), own, own, disk.capacity_bytes)
    return None


def _row_verdict(hearing: Hearing, row: DiskRow) -> Verdict:
    if row.meaning is Meaning.BROKEN:
        return Verdict.FAILED
    if hearing.own_verdict is Verdict.RUNNING or row in hearing.running_rows:
        return Verdict.RUNNING
    per_disk = any(r.meaning is Meaning.BROKEN for r in hearing.own_rows)
    if hearing.own_verdict is Verdict.FAILED and row.short and not per_disk:
        return Verdict.FAILED
    return Verdict.UNSETTLED


def _own_verdict_on_disk(hearing: Hearing) -> Verdict:
    """What the job's own entry means for the disk in work: "completed" there does not prove a disk."""
    said = hearing.own_verdict or Verdict.NOT_FOUND
    return Verdict.UNSETTLED if said is Verdict.COMPLETED else said


def _in_work(hearing: Hearing) -> Disk | None:
    """The disk of which an entry under the job's own id speaks that names no disks we know.

    Disks are copied one after another, so a running or failed entry is about the first that is not
    proven. A completed one may be about a disk already proven, and then says nothing of the others.
    """
    disks = hearing.question.disks
    if any(hearing.row(d) for d in disks):
        return None
    if hearing.own_verdict is Verdict.COMPLETED and len(disks) > 1:
        return disks[0] if not hearing.proven and hearing.fresh(disks[0]) is None else None
    if len(disks) == 1:
        return disks[0]
    return next((d for d in hearing.unproven if hearing.fresh(d) is None), None)
