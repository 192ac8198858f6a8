"""An append-only log of every question: who asked about which job, when, what was said, what became of the answer.

One line of JSON each. `poller.poll_check` reads it back and finds jobs that nobody asked about.
"""

import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog

from db.apply import Applied
from db.load import Loaded
from db.store import Answer
from fsm.facts import Asked
from poller.ownership import SOLE, Ownership
from poller.poll_lines import Asks, Began, Ended, Left, Line, Lives, Must, Put, Settled, Waits
from poller.schedule import Schedule
from vma.observer import Observer

log = structlog.get_logger(__name__)
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class PollLogError(ValueError):
    """A file that no log can be kept in; the text names the setting."""

    def __init__(self, path: str, error: OSError) -> None:
        super().__init__(
            f"poll_log: {path} cannot be appended to ({error.strerror}); nothing was started."
            " Name a file in a folder that the service may write to, or leave the setting out"
        )


Sink = Callable[[Line], object]


class File:
    """Appends lines to a file; one write each, so that several processes may share it.

    A file that cannot be written is said so once, and costs no poll.
    """

    def __init__(self, path: str) -> None:
        """OSError if it cannot be opened."""
        self._path, self._encode, self._broken = path, msgspec.json.Encoder().encode, False
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 # open as long as the process lives

    def __call__(self, line: Line) -> None:
        try:
            self._file.write(self._encode(line) + b"\n")
            self._broken = False
        except OSError as error:
            if not self._broken:
                log.error("the poll log cannot be written; polling goes on without", path=self._path, why=str(error))
            self._broken = True

    def close(self) -> None:
        """Nothing more is written."""
        self._file.close()


def boot() -> str:
    """What all processes have in common whose monotonic clocks can be compared."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()


class PollLog:
    """What a poller tells. This one keeps nothing."""

    def began(self) -> None:
        """This run begins to poll."""

    def ended(self) -> None:
        """This run stopped in order."""

    def lives(self) -> None:
        """This run is one of several replicas, and looks after its shares."""

    def must(self, jobs: Iterable[str], read: float) -> None:
        """By the database, read at this uptime, these jobs must be polled."""

    def put(self, job_id: str, delay: float) -> None:
        """A job is to be asked about."""

    def left(self, job_id: str) -> None:
        """A job leaves the schedule."""

    def asks(self, loaded: Loaded, asked: Asked) -> None:
        """A question is put."""

    def broken(self, loaded: Loaded, pause: float) -> None:
        """Asking itself failed; it is tried again in `pause` seconds."""

    def settled(
        self, batch: Iterable[Answer], applied: Mapping[str, Applied], schedule: Schedule, *, away: bool
    ) -> None:
        """What became of a batch of answers; `schedule` says when the jobs are asked next."""

    def waits(self, jobs: Iterable[str], why: str, pause: float) -> None:
        """Jobs that were due cannot be asked about, and wait for so many seconds."""

    def close(self) -> None:
        """Nothing more comes."""


UNLOGGED: Final = PollLog()


class WrittenLog(PollLog):
    """That of one process run."""

    def __init__(self, sink: Sink, observer: Observer, ownership: Ownership = SOLE, boot_id: str | None = None) -> None:
        self._sink, self._observer, self._run, self._ownership = sink, observer, observer.id, ownership
        self._boot = boot_id or boot()
        self._scheduled: dict[str, bool] = {}  # True: it was ours when it came

    def began(self) -> None:
        observer = self._observer
        self._sink(Began(run=self._run, up=self._up, at=observer.now().isoformat(), boot=self._boot,
                         monotonic=observer.started, polls=self._ownership.polls))  # fmt: skip

    def ended(self) -> None:
        self._sink(Ended(run=self._run, up=self._up))

    def lives(self) -> None:
        self._sink(Lives(run=self._run, up=self._up))

    def must(self, jobs: Iterable[str], read: float) -> None:
        self._sink(Must(run=self._run, up=self._up, read=round(read, 6), jobs=list(jobs)))

    def put(self, job_id: str, delay: float) -> None:
        if job_id not in self._scheduled:
            mine = self._scheduled[job_id] = self._ownership.owns(job_id)
            self._sink(Put(run=self._run, up=self._up, job=job_id, delay=delay, guest=not mine))

    def left(self, job_id: str) -> None:
        if job_id in self._scheduled:
            lost = self._scheduled.pop(job_id) and not self._ownership.owns(job_id)
            self._sink(Left(run=self._run, up=self._up, job=job_id, lost=lost))

    def asks(self, loaded: Loaded, asked: Asked) -> None:
        facts = loaded.facts
        self._sink(Asks(run=self._run, up=self._up, job=facts.job_id, version=facts.version, polls=loaded.polls,
                        by=asked.by.value, guest=not self._ownership.owns(facts.job_id)))  # fmt: skip

    def broken(self, loaded: Loaded, pause: float) -> None:
        facts = loaded.facts
        self._sink(Settled(run=self._run, up=self._up, job=facts.job_id, became="broken", version=facts.version,
                           polls=loaded.polls, pause=pause))  # fmt: skip

    def settled(
        self, batch: Iterable[Answer], applied: Mapping[str, Applied], schedule: Schedule, *, away: bool
    ) -> None:
        up = self._up
        for answer in batch:
            evidence, entry = answer.evidence, schedule.get(answer.job_id)
            pause = None if entry is None else round(entry.due - up, 3)
            line = Settled(run=self._run, up=up, job=answer.job_id, became="away" if away else "dropped",
                           version=answer.version, polls=answer.polls, heard=round(evidence.uptime, 6),
                           verdict=evidence.verdict.value, pause=pause)  # fmt: skip
            if answer.job_id in applied:
                _became(line, applied[answer.job_id])
            self._sink(line)

    def waits(self, jobs: Iterable[str], why: str, pause: float) -> None:
        self._sink(Waits(run=self._run, up=self._up, jobs=list(jobs), why=why, pause=pause))

    def close(self) -> None:
        if isinstance(self._sink, File):
            self._sink.close()

    @property
    def _up(self) -> float:
        return round(self._observer.uptime(), 6)


def _became(line: Settled, applied: Applied) -> None:
    decision = applied.decision
    line.became, line.was, line.had = "applied", decision.before.version, applied.loaded.polls
    line.state, line.over = decision.after.state.value, not decision.after.polled


def open_log(path: str | None, observer: Observer, ownership: Ownership) -> PollLog:
    """The log of this run at `path`; one that keeps nothing if none is wanted. PollLogError."""
    if path is None:
        return UNLOGGED
    try:
        return WrittenLog(File(path), observer, ownership)
    except OSError as error:
        raise PollLogError(path, error) from error
