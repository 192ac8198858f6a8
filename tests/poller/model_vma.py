"""A VMA made of Python values: it answers at once what it was told to, unless a question is held back."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fsm.evidence import DiskEvidence, Evidence
from fsm.facts import Disk
from fsm.states import Verdict
from vma.composite import Question
from vma.observer import Observer

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SIZE = 1000  # bytes of every disk: one byte is a tenth of a percent


def span(written: str | float) -> timedelta:
    """'30s', '2m', '3h'; a bare number is seconds."""
    if not isinstance(written, str):
        return timedelta(seconds=written)
    return timedelta(seconds=float(written[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[written[-1]])


@dataclass
class Clock:
    """Both clocks of a machine; they stand still until told otherwise."""

    time: datetime = NOON
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, time: str | float) -> None:
        self.time += span(time)
        self.seconds += span(time).total_seconds()

    def observer(self) -> Observer:
        """One run of a process that reads these clocks."""
        return Observer(self.now, self.monotonic)


@dataclass
class Copy:
    """What the VMA says of one job."""

    verdict: Verdict
    percent: float | None = None
    more: dict[str, Any] = field(default_factory=dict)


def evidence(copy: Copy, disks: tuple[Disk, ...], observer: Observer) -> Evidence:
    """The answer about a job whose disks are all equally far."""
    by_disk = tuple(_disk(disk.disk_id, copy) for disk in disks) if copy.verdict.knows_the_job else ()
    done = None if copy.percent is None else round(copy.percent * SIZE / 100) * max(len(disks), 1)
    return Evidence(
        copy.verdict,
        observer.now(),
        observer.id,
        observer.uptime(),
        bytes_transferred=done,
        total_bytes=None if done is None else SIZE * max(len(disks), 1),
        percent=copy.percent,
        disks=by_disk,
        **copy.more,
    )


def _disk(disk_id: str, copy: Copy) -> DiskEvidence:
    proven = copy.verdict is Verdict.COMPLETED
    done = SIZE if proven else None if copy.percent is None else round(copy.percent * SIZE / 100)
    total = None if done is None else SIZE
    return DiskEvidence(disk_id, copy.verdict, proven, done, total, copy.percent, unfinished=not proven)


class ModelVma:
    """Stands in for `vma.fleet.Fleet`. Unknown jobs are not found."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.observer = clock.observer()
        self.copies: dict[str, Copy] = {}
        self.reachable = True
        self.asked: list[tuple[str, float]] = []  # (job, monotonic seconds)
        self.under_way: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        self.closed = False
        self.at_rest: set[str] = set()  # appliances that are paused
        self._gates: dict[str, asyncio.Event] = {}
        self._raising: dict[str, Exception] = {}
        self.on_ask: Callable[[str], None] = lambda _job_id: None

    # --- what is true there ----------------------------------------------------------------------

    def run(self, job_id: str, percent: float, **more: Any) -> None:
        self.copies[job_id] = Copy(Verdict.RUNNING, percent, more)

    def complete(self, job_id: str) -> None:
        self.copies[job_id] = Copy(Verdict.COMPLETED, 100.0)

    def fail(self, job_id: str, error: str = "disk full") -> None:
        self.copies[job_id] = Copy(Verdict.FAILED, None, {"error": error})

    def unsettle(self, job_id: str, percent: float) -> None:
        self.copies[job_id] = Copy(Verdict.UNSETTLED, percent)

    def garble(self, job_id: str, error: str = "HTTP 500: broken", **more: Any) -> None:
        self.copies[job_id] = Copy(Verdict.UNINTELLIGIBLE, None, {"error": error, **more})

    def silence(self, job_id: str, error: str = "connection refused", **more: Any) -> None:
        """Nothing comes back about this one job."""
        self.copies[job_id] = Copy(Verdict.UNREACHABLE, None, {"error": error, **more})

    def forget(self, job_id: str) -> None:
        self.copies.pop(job_id, None)

    def hold(self, job_id: str) -> None:
        """Questions about the job are heard but answered only when `release` is called."""
        self._gates[job_id] = asyncio.Event()

    def release(self, job_id: str) -> None:
        self._gates.pop(job_id).set()

    def explode(self, job_id: str, error: Exception) -> None:
        """Asking about the job raises, although a client promises not to."""
        self._raising[job_id] = error

    def defuse(self, job_id: str) -> None:
        self._raising.pop(job_id)

    def times(self, job_id: str) -> list[float]:
        """When the job was asked about, in monotonic seconds."""
        return [at for asked, at in self.asked if asked == job_id]

    @property
    def held(self) -> set[str]:
        """The jobs whose questions wait for `release`."""
        return set(self._gates)

    # --- the client ------------------------------------------------------------------------------

    def paused(self, name: str) -> bool:
        return name in self.at_rest

    async def ask(self, question: Question) -> Evidence:
        job_id = question.job_id
        self.asked.append((job_id, self.clock.monotonic()))
        self.under_way[job_id] += 1
        self.most_at_once[job_id] = max(self.most_at_once[job_id], self.under_way[job_id])
        self.on_ask(job_id)
        said = self.copies.get(job_id, Copy(Verdict.NOT_FOUND))  # said now, heard when the answer gets through
        try:
            if job_id in self._gates:
                await self._gates[job_id].wait()
            if job_id in self._raising:
                raise self._raising[job_id]
        finally:
            self.under_way[job_id] -= 1
        unreachable = Copy(Verdict.UNREACHABLE, None, {"error": "connection refused"})
        return evidence(said if self.reachable else unreachable, question.disks, self.observer)

    async def aclose(self) -> None:
        self.closed = True
