"""How two older generations of the appliance put the same copy into JSON. Neither takes posts: they watch the copy.

`errors_as_objects` reads the copy tool's log: whole percents, nanoseconds, zero times for what is unknown.
`raw_model` shows its own model, with stages where the others have phases.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

Generation = Literal["current", "errors_as_objects", "raw_model"]
Stage = Literal["initializing", "snapshot", "copying", "completed"]

GIB: Final = 2**30
NEVER: Final = "0001-01-01T00:00:00Z"
RAW_WORDS: Final = {
    "initializing": ("Discover", "Queued"),
    "snapshot": ("Snapshot", "Snapshotting"),
    "copying": ("Transfer", "Streaming"),
    "completed": ("PersistChangeIDs", "Succeeded"),
}
COPYING_SHARE: Final = (10, 85)  # percent of the whole at the start of copying, and what copying is worth
SNAPSHOT_PERCENT: Final = 4.5


@dataclass(frozen=True, slots=True)
class DiskSight:
    """One disk as seen from outside. Bytes; bytes per second."""

    disk_id: str
    copied: int
    total: int
    rate: int = 0


@dataclass(frozen=True, slots=True)
class Sight:
    """A copy as seen from outside: `since` says when each stage reached so far began, in order."""

    stage: Stage
    since: dict[str, datetime]
    updated: datetime
    disks: tuple[DiskSight, ...]
    sync_type: str = ""
    failed: bool = False
    error: str | None = None
    vm_path: str = ""

    @property
    def copied(self) -> int:
        return sum(disk.copied for disk in self.disks)

    @property
    def total(self) -> int:
        return sum(disk.total for disk in self.disks)

    @property
    def percent(self) -> int:
        """Whole percents of the bytes."""
        return 100 if self.stage == "completed" else self.copied * 100 // self.total if self.total else 0


def errors_as_objects(key: str, sight: Sight, now: datetime) -> dict[str, Any]:
    """The envelope with a float `disk_size_gb`, and `errors` (only if there are any) of objects."""
    started = next(iter(sight.since.values()))
    copying = sight.stage in ("copying", "completed")
    body: dict[str, Any] = {
        "job_id": key,
        "status": _status(sight),
        "sync_type": "unknown",
        "phase": {"snapshot": "snapshot_creation", "copying": "copying_data"}.get(sight.stage, sight.stage),
        "percentage": _whole(_percentage(sight)),
        "current_operation": _operation(sight),
        # of the percentage in the log, not of the disk
        "bytes_transferred": sight.total * sight.percent // 100 if copying else 0,
        "total_bytes": sight.total if copying else 0,
        "throughput": {"current_mbps": 0, "average_mbps": 0, "peak_mbps": 0, "last_update": NEVER},
        "timing": {
            "start_time": nanoseconds(started),
            "last_update": nanoseconds(sight.updated),
            "elapsed_ms": _milliseconds(started, now),
            "eta_seconds": 0,
            "phase_start": NEVER,
            "phase_elapsed_ms": 0,
        },
        "vm_info": _vm_info(sight),
    }
    if sight.failed:
        error = _error(sight)
        body |= {"errors": [error], "last_error": error}
    return body | {"phases": _phases(sight)}


def raw_model(key: str, sight: Sight, _now: datetime) -> dict[str, Any]:
    """The model behind the envelope; rates in bytes per second."""
    stage, status = RAW_WORDS[sight.stage]
    started = next(iter(sight.since.values()))
    return {
        "job_id": key,
        "stage": stage,
        "status": "Failed" if sight.failed else status,
        "started_at": nanoseconds(started),
        "updated_at": nanoseconds(sight.updated),
        "aggregate": {
            "total_bytes": sight.total,
            "bytes_transferred": sight.copied,
            "throughput_bps": sum(disk.rate for disk in sight.disks),
            "percent": _whole(100.0 if sight.stage == "completed" else _share(sight.copied, sight.total)),
        },
        "cbt": {"type": sight.sync_type},
        "nbd": {},
        "disks": [
            {
                "id": disk.disk_id,
                "planned_bytes": disk.total,
                "bytes_transferred": disk.copied,
                "throughput_bps": disk.rate,
                "percent": _whole(_share(disk.copied, disk.total)),
                "status": _raw_status(disk, sight),
            }
            for disk in sight.disks
        ],
    }


SHAPES: Final[dict[Generation, Callable[[str, Sight, datetime], dict[str, Any]]]] = {
    "errors_as_objects": errors_as_objects,
    "raw_model": raw_model,
}


def nanoseconds(moment: datetime) -> str:
    """RFC 3339 with as many digits as are not zero, as Go writes it."""
    text = moment.replace(tzinfo=None).isoformat(timespec="microseconds").rstrip("0").rstrip(".")
    offset = moment.isoformat()[-6:]
    return f"{text}{'Z' if moment.utcoffset() == UTC.utcoffset(None) else offset}"


def _status(sight: Sight) -> str:
    if sight.failed:
        return "failed"
    return {"initializing": "starting", "completed": "completed"}.get(sight.stage, "running")


def _percentage(sight: Sight) -> float:
    base, share = COPYING_SHARE
    at = {"initializing": 0.0, "snapshot": SNAPSHOT_PERCENT, "completed": 100.0}
    return at[sight.stage] if sight.stage != "copying" else (base * 100 + share * sight.percent) / 100


def _operation(sight: Sight) -> str:
    said = {"snapshot": "Creating VM snapshot", "completed": "Migration completed successfully"}
    return f"Copying VM data: {sight.percent}%" if sight.stage == "copying" else said.get(sight.stage, "")


def _vm_info(sight: Sight) -> dict[str, Any]:
    known = sight.total if sight.vm_path else 0  # nothing is known of a VM that was started without a path
    return {
        "name": sight.vm_path.rpartition("/")[2],
        "path": sight.vm_path,
        "disk_size_gb": _whole(known / GIB),
        "disk_size_bytes": known,
        "cbt_enabled": False,
    }


def _error(sight: Sight) -> dict[str, Any]:
    return {
        "timestamp": nanoseconds(sight.updated),
        "phase": "copying_data",
        "error_type": "system",
        "message": sight.error or "",
        "recoverable": False,
    }


def _phases(sight: Sight) -> list[dict[str, Any]]:
    since = sight.since
    ends = {"initializing": since.get("snapshot"), "snapshot": since.get("copying"), "copying": since.get("completed")}
    names = {"initializing": "initializing", "snapshot": "snapshot_creation", "copying": "copying_data"}
    rows = [_phase(name, since.get(stage), ends[stage]) for stage, name in names.items()]
    done = since.get("completed")
    return [*rows, {**_phase("cleanup", None, done), "status": "completed" if done else "pending"}]


def _phase(name: str, start: datetime | None, end: datetime | None) -> dict[str, Any]:
    return {
        "name": name,
        "status": "completed" if end else "running" if start else "pending",
        "start_time": nanoseconds(start) if start else NEVER,
        "end_time": nanoseconds(end) if end else NEVER,
        "duration_ms": _milliseconds(start, end) if start and end else 0,
    }


def _raw_status(disk: DiskSight, sight: Sight) -> str:
    if disk.copied >= disk.total and (disk.total or sight.stage == "completed"):
        return "Succeeded"
    return "Failed" if sight.failed and disk.rate else "Streaming" if disk.rate else "Queued"


def _milliseconds(start: datetime, end: datetime) -> int:
    return int((end - start).total_seconds() * 1000)


def _share(part: int, whole: int) -> float:
    return part / whole * 100 if whole else 0.0


def _whole(value: float) -> int | float:
    """Whole numbers are written without `.0`."""
    return int(value) if float(value).is_integer() else value
