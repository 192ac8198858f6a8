"""What is known of a copy process; all of it can be written down and read back."""

from typing import Literal

from pydantic import BaseModel

from vma.simulator.plans import Disk, Plan
from vma.simulator.timeline import SETUP_PHASES, Milestone, Timeline
from vma.simulator.wire import ProgressUpdate

CopyState = Literal["running", "finished", "failed", "hung", "aborted", "killed"]


class CopyView(BaseModel):
    """A copy as the control API lists it. `disk` is the one in work, None before, between and after disks."""

    job_id: str
    state: CopyState
    disk: str | None
    disks_done: int
    bytes_transferred: int
    total_bytes: int
    why: str | None


class CopyRecord(BaseModel):
    """A copy process: what it was told, when it began (seconds since the epoch) and how far it has come."""

    job_id: str
    plan: Plan
    disks: list[Disk]
    vm_path: str
    oma_url: str
    started_at: float
    state: CopyState = "running"
    why: str | None = None
    stopped_at: float | None = None  # since when it is hung or over
    paused_s: float = 0.0
    skipped_s: float = 0.0  # simulated seconds left out by "finish"
    milestones_done: int = 0
    previous_change_ids: dict[str, str | None] = {}

    def elapsed(self, now: float, speed: float) -> float:
        """Simulated seconds of work at the instant `now`."""
        until = now if self.stopped_at is None else self.stopped_at
        return (until - self.started_at - self.paused_s) * speed + self.skipped_s

    def timeline(self) -> Timeline:
        return Timeline(self.plan, self.disks)

    @property
    def disks_done(self) -> int:
        return max(0, self.milestones_done - len(SETUP_PHASES)) // 2

    @property
    def disk_in_work(self) -> int | None:
        transfer_milestones = self.milestones_done - len(SETUP_PHASES)
        return transfer_milestones // 2 if transfer_milestones > 0 and transfer_milestones % 2 else None

    @property
    def busy(self) -> bool:
        """True while it posts every now and then: in set-up and while a disk is copied, not between disks."""
        return 0 < self.milestones_done <= len(SETUP_PHASES) or self.disk_in_work is not None

    def instant(self, elapsed: float, speed: float) -> float:
        """When it has worked for `elapsed` simulated seconds; seconds since the epoch."""
        return self.started_at + self.paused_s + (elapsed - self.skipped_s) / speed

    @property
    def post_key(self) -> str:
        """The key of the disk in work, else of the one worked on last."""
        started = self.disks_done + (self.disk_in_work is not None)
        return self.key_of(max(0, started - 1))

    def key_of(self, number: int) -> str:
        export = self.disks[number].export
        return export if self.plan.key == "export" and export else self.job_id

    def post_keys(self) -> set[str]:
        """All keys that it posts under."""
        return {self.key_of(number) for number in range(len(self.disks))}

    def names_disks(self) -> bool:
        return self.plan.key == "job_id" and len(self.disks) > 1

    def view(self, now: float, speed: float) -> CopyView:
        working = self.disk_in_work
        copied = sum(disk.size_bytes for disk in self.disks[: self.disks_done])
        if working is not None:
            copied += self.timeline().copied(working, self.elapsed(now, speed))
        return CopyView(
            job_id=self.job_id,
            state=self.state,
            disk=None if working is None else self.disks[working].disk_id,
            disks_done=self.disks_done,
            bytes_transferred=copied,
            total_bytes=sum(disk.size_bytes for disk in self.disks),
            why=self.why,
        )


def milestone_post(record: CopyRecord, milestone: Milestone) -> ProgressUpdate:
    """What the process says when it gets there."""
    if milestone.kind == "setup":
        return setup_post(milestone.number)
    make = start_post if milestone.kind == "disk_start" else end_post
    return make(record, milestone.number)


def setup_post(number: int) -> ProgressUpdate:
    phase, percent = SETUP_PHASES[number]
    return ProgressUpdate(stage=phase, status="in_progress", percent=percent)


def start_post(record: CopyRecord, number: int) -> ProgressUpdate:
    """Announces the transfer; the only post that carries `sync_type`."""
    disk = record.disks[number]
    known = record.previous_change_ids.get(disk.disk_id) is not None
    named = record.names_disks()
    return ProgressUpdate(
        stage="Transfer",
        status="in_progress",
        total_bytes=disk.size_bytes if named else 0,
        disk_id=disk.disk_id if named else "",
        sync_type=record.plan.sync_type or ("incremental" if known else "full"),
    )


def transfer_post(record: CopyRecord, number: int, copied: int, bytes_per_s: int) -> ProgressUpdate:
    disk = record.disks[number]
    return ProgressUpdate(
        stage="Transfer",
        status="in_progress",
        bytes_transferred=copied,
        total_bytes=disk.size_bytes,
        throughput_bps=bytes_per_s,
        percent=copied / disk.size_bytes * 100 if disk.size_bytes else 0.0,
        disk_id=disk.disk_id if record.names_disks() else "",
    )


def end_post(record: CopyRecord, number: int) -> ProgressUpdate:
    """A finished disk says `completed`, though others may follow."""
    disk = record.disks[number]
    return ProgressUpdate(
        stage="Transfer",
        status="completed",
        bytes_transferred=disk.size_bytes,
        total_bytes=disk.size_bytes,
        percent=100.0,
        disk_id=disk.disk_id if record.names_disks() else "",
    )


def failure_post(record: CopyRecord) -> ProgressUpdate:
    """Carries no reason: the appliance has no field for one."""
    if record.milestones_done <= len(SETUP_PHASES):
        return ProgressUpdate(stage=SETUP_PHASES[max(0, record.milestones_done - 1)][0], status="failed")
    working = record.disk_in_work
    named = working is not None and record.names_disks()
    disk_id = record.disks[working].disk_id if working is not None and named else ""
    return ProgressUpdate(stage="Transfer", status="failed", disk_id=disk_id)
