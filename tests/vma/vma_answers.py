"""Builders of answers, envelopes and questions for the tests of what the VMA says."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from fsm.evidence import KeyEntry
from fsm.facts import Disk
from fsm.memory import DiskMemory, Memory
from vma.question import Question
from vma.wire import read
from vma.wire_models import Answer, Reply

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CREATED = NOW - timedelta(hours=1)
JOB = "job-20261123-110000.123-a1b2c3"
GIB = 2**30
A = Disk("disk-2000", "a", 100 * GIB)
B = Disk("disk-2001", "b", 20 * GIB)
C = Disk("disk-2002", "c", 40 * GIB)
EXPORT_A, EXPORT_B, EXPORT_C = "migration-vol-a", "migration-vol-b", "migration-vol-c"
DATE = "Mon, 23 Nov 2026 12:00:00 GMT"


def rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def envelope(key: str = JOB, status: str = "in_progress", **fields: Any) -> dict[str, Any]:
    """An envelope of a current appliance; `rate`, `eta`, `start` go where they belong."""
    rate, eta = fields.pop("rate", 0), fields.pop("eta", 0)
    start = fields.pop("start", NOW - timedelta(minutes=30))
    return {
        "job_id": key,
        "status": status,
        "sync_type": "full",
        "phase": "Transfer",
        "percentage": 0,
        "current_operation": "Transferring Data",
        "bytes_transferred": 0,
        "total_bytes": 0,
        "throughput": {"current_mbps": rate, "average_mbps": rate, "peak_mbps": rate, "last_update": DATE},
        "timing": {"start_time": rfc3339(start), "last_update": rfc3339(NOW), "elapsed_ms": 1, "eta_seconds": eta},
        "vm_info": {"name": "unknown", "path": "unknown", "disk_size_gb": 0, "disk_size_bytes": 0},
        "phases": [],
        "errors": [],
        "last_error": None,
    } | fields


def row(disk_id: str, done: int, total: int, status: str = "Streaming") -> dict[str, Any]:
    return {
        "disk_id": disk_id,
        "label": f"Disk {disk_id}",
        "bytes_transferred": done,
        "total_bytes": total,
        "percent": 100 * done / total if total else 0,
        "throughput_mbps": 0,
        "status": status,
    }


def ok(body: Any, **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(200, {"Content-Type": "application/json", "Date": DATE, **headers}, raw)


def http(status: int, body: bytes = b"", **headers: str) -> Reply:
    return Reply(status, {"Date": DATE, **headers}, body)


NOT_FOUND = http(404, b"job not found\n")
WRONG_URL = http(404, b"404 page not found\n")


def copying(key: str, done: int | None, total: int, **fields: Any) -> Answer:
    return read(key, ok(envelope(key, "in_progress", bytes_transferred=done, total_bytes=total, **fields)))


def done(key: str, total: int, **fields: Any) -> Answer:
    numbers = {"bytes_transferred": total, "total_bytes": total, "percentage": 100} | fields
    return read(key, ok(envelope(key, "completed", **numbers)))


def failed(key: str, at: int = 0, total: int = 0, **fields: Any) -> Answer:
    return read(key, ok(envelope(key, "failed", bytes_transferred=at, total_bytes=total, **fields)))


def absent(key: str) -> Answer:
    return read(key, NOT_FOUND)


def down(key: str) -> Answer:
    return read(key, http(503))


def odd(key: str) -> Answer:
    return read(key, http(500, b"boom"))


def question(*disks: Disk, **fields: Any) -> Question:
    return Question(**({"job_id": JOB, "created_at": CREATED, "disks": disks, "own_id_only": not disks} | fields))


def remembering(*disks: DiskMemory, **fields: Any) -> Memory:
    return Memory(disks=disks, **fields)


def proven(disk: Disk) -> DiskMemory:
    return DiskMemory(disk.disk_id, proven=True)


def baseline(disk: Disk, entry: KeyEntry, **fields: Any) -> DiskMemory:
    return DiskMemory(disk.disk_id, baseline=entry, **fields)


def by_key(*answers: Answer) -> dict[str, Answer]:
    return {answer.key: answer for answer in answers}
