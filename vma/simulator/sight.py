"""What an older appliance sees of a copy: all its disks from the start, and when each stage began."""

from collections.abc import Callable, Mapping
from datetime import datetime

from vma.simulator.entries import DiskEntry, Entry
from vma.simulator.older import DiskSight, Sight, Stage
from vma.simulator.records import CopyRecord
from vma.simulator.timeline import SETUP_PHASES

STAGES: tuple[Stage, ...] = ("initializing", "snapshot", "copying", "completed")
FIRST_MILESTONES = (0, 1, len(SETUP_PHASES))  # of the stages before the end


def sight(entry: Entry, record: CopyRecord | None, clock: Callable[[float], datetime], speed: float) -> Sight:
    """From what was posted and, if the copy was started here, from its record. `clock` shows an instant's time."""
    return _of_posts(entry) if record is None else _of_copy(entry, record, clock, speed)


def _of_posts(entry: Entry) -> Sight:
    known: Mapping[str, DiskEntry | Entry] = entry.disks or {"disk-2000": entry}
    disks = tuple(DiskSight(name, e.bytes_transferred, e.total_bytes, e.throughput_bps) for name, e in known.items())
    completed = entry.status.casefold() in ("completed", "succeeded")
    stage: Stage = "completed" if completed else "copying" if entry.total_bytes else "initializing"
    since: dict[str, datetime] = dict.fromkeys(STAGES[: STAGES.index(stage) + 1], entry.started)
    failed = entry.status.casefold() in ("failed", "error")
    return Sight(stage, since, entry.updated or entry.started, disks, entry.sync_type, failed)


def _of_copy(entry: Entry, record: CopyRecord, clock: Callable[[float], datetime], speed: float) -> Sight:
    milestones = record.timeline().milestones
    begins = [clock(record.instant(milestones[number].at, speed)) for number in FIRST_MILESTONES]
    reached = [begin for number, begin in zip(FIRST_MILESTONES, begins, strict=True) if record.milestones_done > number]
    if record.state == "finished" and record.stopped_at is not None:
        reached.append(clock(record.stopped_at))
    stage = STAGES[max(0, len(reached) - 1)]
    return Sight(
        stage,
        dict(zip(STAGES, [max(entry.started, begin) for begin in reached] or [entry.started], strict=False)),
        entry.updated or entry.started,
        _disks(entry, record),
        record.plan.sync_type or "",
        record.state == "failed",
        record.why if record.state == "failed" else None,
        record.vm_path,
    )


def _disks(entry: Entry, record: CopyRecord) -> tuple[DiskSight, ...]:
    """Those before the one in work are done, those after it not begun."""
    done, working = record.disks_done, record.disk_in_work
    rows = []
    for number, disk in enumerate(record.disks):
        posted = (entry.disks.get(disk.disk_id) or entry) if number == working else None
        copied = disk.size_bytes if number < done else posted.bytes_transferred if posted else 0
        rows.append(DiskSight(disk.disk_id, copied, disk.size_bytes, posted.throughput_bps if posted else 0))
    return tuple(rows)
