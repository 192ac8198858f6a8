"""When a copy reaches what: pure arithmetic on its plan and its disks."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from vma.simulator.plans import Disk, End, Plan

MIB = 2**20
SETUP_PHASES = (
    ("Initializing", 5.0),
    ("Creating Snapshot", 10.0),
    ("Setting up NBD", 20.0),
    ("Preparing Migration", 30.0),
)


@dataclass(frozen=True, slots=True)
class Milestone:
    """A point of the run: `number` counts set-up phases or disks, `at` in simulated seconds. `stop`: it ends badly."""

    at: float
    kind: Literal["setup", "disk_start", "disk_end", "stop"]
    number: int


class Timeline:
    """The milestones of one copy, its disks one after another."""

    def __init__(self, plan: Plan, disks: Sequence[Disk]) -> None:
        self._plan = plan
        self._disks = disks
        whole = tuple(_milestones(plan, disks))
        self.milestones = whole if plan.end is None else _cut(whole, plan.end, plan, disks)

    @property
    def end(self) -> float:
        return self.milestones[-1].at

    def passed(self, elapsed: float) -> int:
        """How many milestones lie at or before `elapsed`."""
        return bisect_right(self.milestones, elapsed, key=lambda milestone: milestone.at)

    def copied(self, disk: int, elapsed: float) -> int:
        """Bytes of disk number `disk` that are copied at `elapsed`."""
        start = self.milestones[len(SETUP_PHASES) + 2 * disk].at
        return max(0, min(int((elapsed - start) * self.bytes_per_s(disk)), self._disks[disk].size_bytes))

    def bytes_per_s(self, disk: int) -> float:
        """How fast disk number `disk` is copied."""
        return bytes_per_s(self._plan, self._disks[disk])


def bytes_per_s(plan: Plan, disk: Disk) -> float:
    """A disk's own rate, else the plan's."""
    return (disk.rate_mib_s or plan.rate_mib_s) * MIB


def _milestones(plan: Plan, disks: Sequence[Disk]) -> Iterator[Milestone]:
    at = plan.first_post_after_s
    for number in range(len(SETUP_PHASES)):
        yield Milestone(at, "setup", number)
        at += plan.setup_s / len(SETUP_PHASES)
    for number, disk in enumerate(disks):
        if number or disk.gap_s is not None:
            at += plan.gap_s if disk.gap_s is None else disk.gap_s
        yield Milestone(at, "disk_start", number)
        at += disk.size_bytes / bytes_per_s(plan, disk)
        yield Milestone(at, "disk_end", number)


def _cut(whole: tuple[Milestone, ...], end: End, plan: Plan, disks: Sequence[Disk]) -> tuple[Milestone, ...]:
    """Up to where it stops: within the disk that holds the byte at `at_percent`."""
    number, copied = _place(end, disks)
    kept = whole[: len(SETUP_PHASES) + 2 * number + 1]
    return (*kept, Milestone(kept[-1].at + copied / bytes_per_s(plan, disks[number]), "stop", number))


def _place(end: End, disks: Sequence[Disk]) -> tuple[int, float]:
    """The disk where it stops, and how much of it is copied by then."""
    sizes = [disk.size_bytes for disk in disks]
    for number, disk in enumerate(disks):
        if disk.disk_id == end.disk_id:
            return number, sizes[number] * end.at_percent / 100
    left = sum(sizes) * end.at_percent / 100
    for number, size in enumerate(sizes):
        if left <= size:
            return number, left
        left -= size
    return len(sizes) - 1, sizes[-1]
