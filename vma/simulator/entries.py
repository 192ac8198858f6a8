"""What the progress map holds under a key, and how a post changes it."""

from dataclasses import dataclass, field
from datetime import datetime

from vma.simulator.pages import Page
from vma.simulator.wire import ProgressUpdate

SYNC_TYPES = frozenset({"full", "incremental", "initial"})


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
    updated: datetime | None = None  # by its last post
    page: Page | None = None  # made when somebody looks, thrown away by the next post

    def absorb(self, update: ProgressUpdate) -> None:
        self.page = None
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
        return ProgressUpdate(
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


def percent_of(part: int, whole: int) -> float:
    """0-100 and, as on the appliance, above."""
    return part / whole * 100 if whole else 0.0
