"""What the current generation says of an entry."""

from datetime import datetime
from typing import Any

from vma.simulator.entries import DiskEntry, Entry, percent_of
from vma.simulator.pages import milliseconds, rfc3339

MIB = 2**20
GIB = 2**30
OPERATIONS = {
    "Discover": "Discovering VM",
    "EnableCBT": "Enabling CBT",
    "QueryCBT": "Querying CBT",
    "Snapshot": "Creating Snapshot",
    "PrepareVolumes": "Preparing Volumes",
    "StartExports": "Starting Exports",
    "Transfer": "Transferring Data",
    "PersistChangeIDs": "Persisting Change IDs",
}
ENDINGS = {"Failed": "Failed", "Succeeded": "Completed"}


def envelope(key: str, entry: Entry, now: datetime) -> dict[str, Any]:
    """The answer to GET /progress/{key}, in the appliance's key order.

    `last_update` is always now, and the phase always began with the entry: neither proves that anything moves.
    """
    return filled(key, entry, rfc3339(now), milliseconds(entry.started, now))


def filled(key: str, entry: Entry, moment: object, elapsed_ms: object) -> dict[str, Any]:
    """The envelope with these two in the places that change with time alone."""
    began = rfc3339(entry.started)
    rate = _number(entry.throughput_bps / MIB)
    body: dict[str, Any] = {
        "job_id": key,
        "status": entry.status,
        "sync_type": entry.sync_type,
        "phase": entry.phase,
        "percentage": _number(entry.percentage),
        "current_operation": ENDINGS.get(entry.status) or OPERATIONS.get(entry.phase, entry.phase),
        "bytes_transferred": entry.bytes_transferred,
        "total_bytes": entry.total_bytes,
        "throughput": {
            "current_mbps": rate,
            "average_mbps": rate,
            "peak_mbps": rate,
            "last_update": moment,
        },
        "timing": {
            "start_time": began,
            "last_update": moment,
            "elapsed_ms": elapsed_ms,
            "phase_start": began,
            "phase_elapsed_ms": elapsed_ms,
            "eta_seconds": _eta_seconds(entry),
        },
        "vm_info": _vm_info(entry),
        "phases": [
            {
                "name": entry.phase,
                "status": entry.status,
                "start_time": began,
                "end_time": "",
                "duration_ms": elapsed_ms,
            }
        ],
        "errors": [],
        "last_error": None,
    }
    if entry.disks:
        body["disk_progresses"] = [_disk_progress(disk_id, disk) for disk_id, disk in entry.disks.items()]
    return body


def _vm_info(entry: Entry) -> dict[str, Any]:
    return {
        "name": "unknown",
        "path": "unknown",
        "disk_size_gb": entry.total_bytes // GIB,
        "disk_size_bytes": entry.total_bytes,
        "cbt_enabled": bool(entry.sync_type),
    }


def _disk_progress(disk_id: str, disk: DiskEntry) -> dict[str, Any]:
    return {
        "disk_id": disk_id,
        "label": f"Disk {disk_id}",
        "bytes_transferred": disk.bytes_transferred,
        "total_bytes": disk.total_bytes,
        "percent": _number(percent_of(disk.bytes_transferred, disk.total_bytes)),
        "throughput_mbps": _number(disk.throughput_bps / MIB),
        "status": "Streaming",
    }


def _eta_seconds(entry: Entry) -> int:
    missing = entry.total_bytes - entry.bytes_transferred
    return max(0, missing // entry.throughput_bps) if entry.throughput_bps > 0 else 0


def _number(value: float) -> int | float:
    """Whole numbers are written without `.0`."""
    return int(value) if float(value).is_integer() else value
