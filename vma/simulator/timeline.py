"""When a copy reaches what: pure arithmetic on its plan and its disks."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from vma.simulator.plans import Disk, Plan

MIB = 2**20
SETUP_PHASES = (
    ("Initializing", 5.0),
    ("Creating Snapshot", 10.0),
    ("Setting up NBD", 20.0),
    ("Preparing Migration", 30.0),
)


@dataclass(frozen=True, slots=True)
class Milestone:
    """A point of the run: `number` counts set-up phases or disks, `at` is in simulated seconds."""

    at: float
    kind: Literal["setup", "disk_start", "disk_end"]
    number: int


class Timeline:
    """The milestones of one copy, its disks one after another."""

    def __init__(self, plan: Plan, disks: Sequence[Disk]) -> None:
        self._bytes_per_s = plan.rate_mib_s * MIB
        self._disks = disks
        self.milestones = tuple(_milestones(plan, disks))

    @property
    def end(self) -> float:
        return self.milestones[-1].at

    def passed(self, elapsed: float) -> int:
        """How many milestones lie at or before `elapsed`."""
        return bisect_right(self.milestones, elapsed, key=lambda milestone: milestone.at)

    def copied(self, disk: int, elapsed: float) -> int:
        """Bytes of disk number `disk` that are copied at `elapsed`."""
        start = self.milestones[len(SETUP_PHASES) + 2 * disk].at
        return max(0, min(int((elapsed - start) * self._bytes_per_s), self._disks[disk].size_bytes))


def _milestones(plan: Plan, disks: Sequence[Disk]) -> Iterator[Milestone]:
    at = plan.first_post_after_s
    for number in range(len(SETUP_PHASES)):
        yield Milestone(at, "setup", number)
        at += plan.setup_s / len(SETUP_PHASES)
    for number, disk in enumerate(disks):
        at += plan.gap_s if number else 0
        yield Milestone(at, "disk_start", number)
        at += disk.size_bytes / (plan.rate_mib_s * MIB)
        yield Milestone(at, "disk_end", number)
