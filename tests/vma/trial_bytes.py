"""The bytes in which a VMA of each generation says how a copy fares: the shapes and words of the contract."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any

from vma.wire_models import Reply

EPOCH = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # second 0 of every trial
MIB = 2**20
SETUP, COPYING, FINISHING, DONE, BROKEN = "setup", "copying", "finishing", "done", "broken"

# Stage of a copy → (status, phase) pairs, per generation.
WORDS: dict[str, dict[str, tuple[tuple[str, str], ...]]] = {
    "current": {
        SETUP: (("Queued", "Discover"), ("Preparing", "EnableCBT"), ("in_progress", "Setting up NBD")),
        COPYING: (("in_progress", "Transfer"), ("Streaming", "Transfer"), ("Queued", "Transfer")),
        FINISHING: (("Finalizing", "PersistChangeIDs"), ("in_progress", "Cleanup")),
        DONE: (("completed", "Transfer"), ("Succeeded", "PersistChangeIDs")),
        BROKEN: (("failed", "Transfer"), ("Failed", "Transfer")),
    },
    "float": {
        SETUP: (("starting", "initializing"), ("running", "snapshot_creation")),
        COPYING: (("running", "copying_data"),),
        FINISHING: (("running", "cleanup"),),
        DONE: (("completed", "completed"), ("Completed", "cleanup")),
        BROKEN: (("failed", "copying_data"), ("error", "error")),
    },
    "raw": {
        SETUP: (("Queued", "Discover"), ("Snapshotting", "Snapshot")),
        COPYING: (("Streaming", "Transfer"),),
        FINISHING: (("Finalizing", "Finalize"),),
        DONE: (("Succeeded", "Completed"), ("Completed", "PersistChangeIDs")),
        BROKEN: (("Failed", "Transfer"), ("Error", "Error")),
    },
}


@dataclass(slots=True)
class Row:
    """One disk in an answer about several."""

    disk_id: str
    done: int
    total: int
    word: str = "Streaming"


@dataclass(slots=True)
class Entry:
    """What the VMA holds under one key. Bytes; `start` in seconds by the VMA's clock, None if it does not say."""

    key: str
    words: tuple[str, str]
    done: int
    total: int
    percent: Any
    start: float | None
    sync: str = "full"
    rows: list[Row] = field(default_factory=list)


def clock(seconds: float) -> str:
    """A time as appliances write it, with their own UTC offset."""
    return (EPOCH + timedelta(seconds=seconds, hours=2)).replace(tzinfo=None).isoformat() + "+02:00"


def reply(generation: str, entry: Entry, now: float) -> Reply:
    """The response about an entry; `now` is the VMA's time."""
    shape = _raw if generation == "raw" else _envelope
    headers = {"Content-Type": "application/json", "Date": formatdate(EPOCH.timestamp() + now, usegmt=True)}
    return Reply(200, headers, json.dumps(shape(generation, entry, now)).encode())


def _start(entry: Entry) -> str:
    return "0001-01-01T00:00:00Z" if entry.start is None else clock(entry.start)


def _envelope(generation: str, entry: Entry, now: float) -> dict[str, Any]:
    old = generation == "float"
    status, phase = entry.words
    error = {"phase": phase, "error_type": "system", "message": "nbdcopy: retried", "recoverable": status != "failed"}
    said = {
        "job_id": entry.key,
        "status": status,
        "sync_type": entry.sync,
        "phase": phase,
        "percentage": entry.percent,
        "current_operation": phase,
        "bytes_transferred": entry.done,
        "total_bytes": entry.total,
        "throughput": {"current_mbps": 50, "last_update": clock(now)},
        "timing": {"start_time": _start(entry), "last_update": clock(now), "eta_seconds": 0},
        "vm_info": {"name": "not found", "disk_size_gb": 18.57 if old else 20},
        "errors": [error] if old else [],
        "last_error": None,
    }
    if entry.rows:
        said["disk_progresses"] = [
            {"disk_id": r.disk_id, "bytes_transferred": r.done, "total_bytes": r.total, "status": r.word}
            for r in entry.rows
        ]
    return said


def _raw(_generation: str, entry: Entry, now: float) -> dict[str, Any]:
    status, stage = entry.words
    whole = {"total_bytes": entry.total, "bytes_transferred": entry.done, "throughput_bps": 50 * MIB}
    return {
        "job_id": entry.key,
        "stage": stage,
        "status": status,
        "started_at": _start(entry),
        "updated_at": clock(now),
        "aggregate": whole | {"percent": entry.percent},
        "cbt": {"type": entry.sync},
        "nbd": {},
        "disks": [
            {"id": r.disk_id, "bytes_transferred": r.done, "planned_bytes": r.total, "status": r.word}
            for r in entry.rows
        ],
    }
