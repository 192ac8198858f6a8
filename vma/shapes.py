"""The shapes in which appliances of three generations spell the same progress."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypedDict

from vma.fields import Fields
from vma.wire_models import DiskRow, Generation

MAX_DISKS: Final = 256
MAX_ERRORS: Final = 20
MAX_WORD: Final = 64
MIB: Final = 2**20


class Said(TypedDict):
    """What any of the shapes says, as the fields of an `Answer`."""

    phase: str | None
    operation: str | None
    sync_type: str | None
    bytes_transferred: int | None
    total_bytes: int | None
    percent: float | None
    rate_mib_s: float | None
    eta_seconds: int | None
    start_time: datetime | None
    disks: tuple[DiskRow, ...]
    error: str | None
    generation: Generation


def envelope(fields: Fields) -> Said:
    """What the envelope says, in either of its two generations."""
    timing = fields.child("timing")
    return Said(
        phase=fields.text("phase", MAX_WORD),
        operation=fields.text("current_operation"),
        sync_type=_sync_type(fields.text("sync_type", MAX_WORD)),
        bytes_transferred=fields.count("bytes_transferred"),
        total_bytes=fields.count("total_bytes"),
        percent=fields.percent("percentage"),
        rate_mib_s=fields.child("throughput").rate("current_mbps"),
        eta_seconds=timing.count("eta_seconds") or None,  # 0 is how the VMA spells "unknown"
        start_time=timing.time("start_time"),
        disks=_rows(fields, "disk_progresses", _envelope_row),
        error=_reason(fields),
        generation=Generation.OLD_ENVELOPE if _is_old(fields) else Generation.ENVELOPE,
    )


def raw_model(fields: Fields) -> Said:
    """What the raw model says, which some older appliances send; its rates are bytes per second."""
    whole = fields.child("aggregate")
    bytes_per_second = whole.rate("throughput_bps")
    return Said(
        phase=fields.text("stage", MAX_WORD),
        operation=None,
        sync_type=_sync_type(fields.child("cbt").text("type", MAX_WORD)),
        bytes_transferred=whole.count("bytes_transferred"),
        total_bytes=whole.count("total_bytes"),
        percent=whole.percent("percent"),
        rate_mib_s=None if bytes_per_second is None else bytes_per_second / MIB,
        eta_seconds=None,
        start_time=fields.time("started_at"),
        disks=_rows(fields, "disks", _raw_row),
        error=_reason(fields),
        generation=Generation.RAW_MODEL,
    )


def is_raw_model(fields: Fields) -> bool:
    """True for the raw model: it has a stage where the envelope has a phase."""
    return "phase" not in fields and ("stage" in fields or "aggregate" in fields)


def _is_old(fields: Fields) -> bool:
    """The old envelope counts a disk's gigabytes in fractions, the current one in whole numbers."""
    return isinstance(fields.child("vm_info").raw("disk_size_gb"), float)


def _sync_type(word: str | None) -> str | None:
    return None if word is None or word.casefold() == "unknown" else word


def _rows(fields: Fields, name: str, read: Callable[[Fields], DiskRow | None]) -> tuple[DiskRow, ...]:
    rows = {}
    for fields_of_row in _objects(fields, name, MAX_DISKS):
        row = read(fields_of_row)
        if row is None:
            fields.note(f"{name} has a row without a disk id: ignored")
        else:
            rows[row.disk_id] = row
    return tuple(rows.values())


def _objects(fields: Fields, name: str, limit: int) -> list[Fields]:
    items: list[Any] = fields.items(name, limit)
    objects = [fields.within(item) for item in items if isinstance(item, dict)]
    if len(objects) < len(items):
        fields.note(f"{name} has entries that are no objects: ignored")
    return objects


def _envelope_row(row: Fields) -> DiskRow | None:
    disk_id = row.text("disk_id")
    return None if disk_id is None else _row(row, disk_id, "total_bytes")


def _raw_row(row: Fields) -> DiskRow | None:
    disk_id = row.text("disk_id") or row.text("id")
    total = "total_bytes" if "total_bytes" in row else "planned_bytes"
    return None if disk_id is None else _row(row, disk_id, total)


def _row(row: Fields, disk_id: str, total: str) -> DiskRow:
    return DiskRow(
        disk_id,
        bytes_transferred=row.count("bytes_transferred"),
        total_bytes=row.count(total),
        percent=row.percent("percent"),
        word=row.text("status", MAX_WORD) or "",
    )


def _reason(fields: Fields) -> str | None:
    """Why it failed, if the VMA says. Errors it calls recoverable are noted only: the status word decides."""
    reasons = [_message(fields, error) for error in fields.items("errors", MAX_ERRORS)]
    last = _message(fields, fields.raw("last_error"))
    return last or next((reason for reason in reversed(reasons) if reason), None)


def _message(fields: Fields, error: Any) -> str | None:
    if isinstance(error, str):
        return fields.within({"message": error}).text("message")
    if not isinstance(error, dict):
        return None
    said = fields.within(error)
    message = said.text("message")
    if message is not None and said.flag("recoverable"):
        fields.note(f"recoverable error: {message}")
        return None
    return message
