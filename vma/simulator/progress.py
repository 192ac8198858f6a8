"""The appliance's progress map: in memory, forgotten by a restart, never tidied up."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from vma.simulator.wire import ProgressUpdate

MIB = 2**20
GIB = 2**30
SYNC_TYPES = frozenset({"full", "incremental", "initial"})
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


@dataclass(slots=True)
class DiskEntry:
    """One element of `disk_progresses`. Its status stays `Streaming`, also when the disk is done."""

    bytes_transferred: int = 0
    total_bytes: int = 0
    throughput_bps: int = 0

    def absorb(self, update: ProgressUpdate) -> None:
        self.bytes_transferred = update.bytes_transferred or self.bytes_transferred
        self.total_bytes = update.total_bytes or self.total_bytes
        self.throughput_bps = update.throughput_bps


@dataclass(slots=True)
class Entry:
    """What the map holds under one key."""

    started: datetime
    status: str = "Queued"
    phase: str = "Discover"
    sync_type: str = ""
    percentage: float = 0.0
    bytes_transferred: int = 0
    total_bytes: int = 0
    throughput_bps: int = 0
    disks: dict[str, DiskEntry] = field(default_factory=dict)

    def absorb(self, update: ProgressUpdate) -> None:
        self.status = update.status or self.status
        self.phase = update.stage or self.phase
        if update.sync_type in SYNC_TYPES:
            self.sync_type = update.sync_type
        if update.disk_id:
            self.disks.setdefault(update.disk_id, DiskEntry()).absorb(update)
            update = self._sum_of_disks(update)
        self._absorb_figures(update)

    def _sum_of_disks(self, update: ProgressUpdate) -> ProgressUpdate:
        """The disks known so far decide the figures of the whole: a disk not yet reported does not count."""
        disks = self.disks.values()
        copied = sum(disk.bytes_transferred for disk in disks)
        total = sum(disk.total_bytes for disk in disks)
        if total:
            self.percentage = percent_of(copied, total)
        return replace(
            update,
            bytes_transferred=copied,
            total_bytes=total,
            throughput_bps=sum(disk.throughput_bps for disk in disks),
            percent=self.percentage if total else update.percent,
        )

    def _absorb_figures(self, update: ProgressUpdate) -> None:
        self.bytes_transferred = update.bytes_transferred or self.bytes_transferred
        self.total_bytes = update.total_bytes or self.total_bytes
        self.throughput_bps = update.throughput_bps
        if update.percent:
            self.percentage = update.percent
        elif update.bytes_transferred and self.total_bytes:
            self.percentage = percent_of(update.bytes_transferred, self.total_bytes)


class ProgressMap:
    """Key → entry. `now` gives the appliance's own time, aware, in its own zone."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._entries: dict[str, Entry] = {}
        self._raw: dict[str, dict[str, Any]] = {}

    def update(self, key: str, update: ProgressUpdate) -> bool:
        """Take one post; true if the key was unknown and has been made for it."""
        self._raw.pop(key, None)
        created = key not in self._entries
        self._entries.setdefault(key, Entry(self._now())).absorb(update)
        return created

    def get(self, key: str) -> dict[str, Any] | None:
        """The envelope as of now, or None for an unknown key."""
        if key in self._raw:
            return self._raw[key]
        entry = self._entries.get(key)
        return None if entry is None else envelope(key, entry, self._now())

    def put(self, key: str, updates: Iterable[ProgressUpdate], start_time: datetime | None, *, fresh: bool) -> None:
        """Post `updates` in turn; `fresh` drops what was there, `start_time` backdates the entry."""
        if fresh:
            self.forget([key])
        for update in updates:
            self.update(key, update)
        if start_time is not None and key in self._entries:
            self._entries[key].started = start_time.astimezone(self._now().tzinfo)

    def put_raw(self, key: str, body: dict[str, Any]) -> None:
        """Answer `body` word for word (another appliance's dialect) until the next post under `key`."""
        self._raw[key] = body

    def forget(self, keys: Iterable[str] | None) -> None:
        """Lose `keys`, or everything (None), as a restarted appliance does."""
        for key in [*self._entries, *self._raw] if keys is None else keys:
            self._entries.pop(key, None)
            self._raw.pop(key, None)

    def keys(self) -> list[str]:
        return sorted({*self._entries, *self._raw})


def percent_of(part: int, whole: int) -> float:
    """0-100 and, as on the appliance, above."""
    return part / whole * 100 if whole else 0.0


def rfc3339(moment: datetime) -> str:
    """To the second, `Z` for UTC, else the zone's offset."""
    text = moment.isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "Z" if moment.utcoffset() == UTC.utcoffset(None) else text


def envelope(key: str, entry: Entry, now: datetime) -> dict[str, Any]:
    """The answer to GET /progress/{key}, in the appliance's key order.

    `last_update` is always now, and the phase always began with the entry: neither proves that anything moves.
    """
    elapsed_ms = int((now - entry.started).total_seconds() * 1000)
    began, moment = rfc3339(entry.started), rfc3339(now)
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
