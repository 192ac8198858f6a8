"""Reads poll logs back: was any job silent, asked twice at once, or moved by an answer that came too late?"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop
from typing import Final

from poller.poll_findings import Finding, Limits, Report, Wrong
from poller.poll_lines import Asks, Began, Ended, Left, Lives, Must, Put, Settled, Waits
from poller.poll_timeline import Logs, Run, Timeline, read_file

TURNS: Final = 6  # questions in turn by two runs, neither of which lets go: more than one that comes and one that goes
TURNS_WITHIN: Final = 240.0  # seconds


@dataclass(slots=True)
class _Job:
    """What is known of one job at a moment of the log."""

    due: float | None = None  # when it is to be asked next; None: not expected, or being asked
    by: float | None = None  # until when at the latest
    asked: float | None = None  # when it was asked last
    asker: str | None = None
    flights: dict[str, float] = field(default_factory=dict)  # run → since when its question is under way
    guests: set[str] = field(default_factory=set)  # runs whose question is about a job of another's
    over: float | None = None  # since when nothing must be asked any more
    applied: str | None = None  # the run whose answer was applied last
    turns: deque[tuple[str, float]] = field(default_factory=lambda: deque(maxlen=TURNS))

    def expect(self, due: float, late: float) -> None:
        self.due, self.by = due, due + late

    def forget(self) -> None:
        self.due = self.by = None


def check_files(paths: Iterable[str], limits: Limits | None = None) -> Report:
    """What is wrong in the logs of one database's processes. OSError, PollLogDamagedError."""
    paths = list(paths)
    return check(lambda: (read_file(path) for path in paths), limits)


def check(logs: Logs, limits: Limits | None = None) -> Report:
    """What is wrong in these logs."""
    return Checker(Timeline(logs), limits or Limits()).run()


class Checker:
    """Goes through the lines once."""

    def __init__(self, logs: Timeline, limits: Limits) -> None:
        self._logs, self._limits = logs, limits
        self.report = Report(runs=len(logs.runs), left_out=logs.left_out)
        self._jobs: dict[str, _Job] = {}
        self._up: set[str] = set()
        self._ends = [(run.last, run.id) for run in logs.runs.values()]
        heapify(self._ends)

    def run(self) -> Report:
        """All that is wrong."""
        end = 0.0
        for now, run, line in self._logs:
            self._until(now)
            _RULES[type(line)](self, now, run, line)
            end = now
        self._close(end)
        self.report.jobs = len(self._jobs)
        if self._logs.zero is not None:
            self.report.since, self.report.until = self._logs.zero, self._logs.wall(end)
        return self.report

    def _job(self, job_id: str) -> _Job:
        return self._jobs.setdefault(job_id, _Job())

    @property
    def _late(self) -> float:
        return self._limits.allowance if len(self._up) < 2 else self._limits.handover

    def _say(self, wrong: Wrong, job_id: str, since: float, now: float, says: str) -> None:
        self.report.findings.append(Finding(wrong, job_id, self._logs.wall(now), says, since, now))

    # --- runs ------------------------------------------------------------------------------------

    def _until(self, now: float) -> None:
        """Runs of which nothing more is heard are over."""
        while self._ends and self._ends[0][0] < now:
            self._over(*heappop(self._ends))

    def _over(self, at: float, run: str) -> None:
        if run not in self._up:
            return
        alone = self._up == {run}
        for job_id, job in self._jobs.items():
            if alone:
                self._look(job_id, job, at)
                job.forget()
            elif run in job.flights or (job.asker == run and job.due is not None):
                self._look(job_id, job, at)
                job.expect(at, self._limits.handover)  # who takes it over asks at once
            job.flights.pop(run, None)
        self._up.discard(run)

    def _began(self, _now: float, run: Run, line: Began) -> None:
        if line.polls:
            self._up.add(run.id)

    def _ended(self, now: float, run: Run, _line: Ended) -> None:
        self._over(now, run.id)

    def _lives(self, _now: float, _run: Run, _line: Lives) -> None:
        """That is all that it says."""

    # --- who is expected ---------------------------------------------------------------------------

    def _must(self, now: float, run: Run, line: Must) -> None:
        read, listed = run.base + line.read, set(line.jobs)
        for job_id in line.jobs:
            job = self._job(job_id)
            if job.by is None and not job.flights and (job.over is None or job.over < read):
                job.expect(now, self._late)
        for job_id, job in self._jobs.items():
            if job_id not in listed and job.due is not None and (job.asked or 0.0) < read:
                job.forget()

    def _put(self, now: float, _run: Run, line: Put) -> None:
        job = self._job(line.job)
        if line.guest:  # its owner finds it by looking
            return
        if not job.flights and (job.due is None or now + line.delay < job.due):
            job.expect(now + line.delay, self._late)

    def _left(self, now: float, run: Run, line: Left) -> None:
        job = self._job(line.job)
        if run.id not in job.guests:
            self._look(line.job, job, now)
            job.forget()
            job.turns.clear()
        if line.lost:
            job.expect(now, self._limits.handover)  # whoever takes it over asks at once

    def _waits(self, now: float, _run: Run, line: Waits) -> None:
        for job_id in line.jobs:
            self._job(job_id).expect(now + line.pause, self._late)

    # --- questions and answers ---------------------------------------------------------------------

    def _asks(self, now: float, run: Run, line: Asks) -> None:
        self.report.questions += 1
        job = self._job(line.job)
        if not line.guest:
            self._look(line.job, job, now)
        since = job.flights.get(run.id)
        if since is not None and now - since < self._limits.question:
            self._say(Wrong.OVERLAP, line.job, since, now, f"asked again by {run.id} while a question is under way")
        job.flights[run.id], job.over = now, None
        if line.guest:  # its owner is to ask all the same
            job.guests.add(run.id)
            return
        self._turn(line.job, job, run.id, now)
        job.guests.discard(run.id)
        job.asked = now
        job.expect(now + self._limits.question, self._limits.allowance)  # until then its answer is written

    def _turn(self, job_id: str, job: _Job, run: str, now: float) -> None:
        if job.asker != run:
            job.turns.append((run, now))
            runs = [by for by, _ in job.turns]
            if len(runs) == TURNS and runs[2:] == runs[:-2] and now - job.turns[0][1] < TURNS_WITHIN:
                self._say(Wrong.OVERLAP, job_id, job.turns[0][1], now, f"{runs[0]} and {runs[1]} ask in turn")
        job.asker = run

    def _look(self, job_id: str, job: _Job, now: float) -> None:
        if job.by is None or job.due is None or now <= job.by:
            return
        late = f"due {now - job.due:.1f} s ago"
        if job.asked is None:
            self._say(Wrong.SILENT, job_id, job.due, now, f"{late} and not asked about before")
        else:
            self._say(Wrong.GAP, job_id, job.due, now, f"{late}; last asked about {now - job.asked:.1f} s ago")

    def _settled(self, now: float, run: Run, line: Settled) -> None:
        job = self._job(line.job)
        began = job.flights.pop(run.id, None)
        if began is not None and job.asker == run.id and run.id not in job.guests:
            self._look(line.job, job, now)
        if line.became == "applied":
            self._applied(now, run, line, job, began or now)
        if line.over:
            job.over = now
            job.forget()
        elif run.id in job.guests:
            job.guests.discard(run.id)
        elif line.pause is not None and (began is not None or line.became == "applied"):
            self._pause(now, line, line.pause, job)

    def _pause(self, now: float, line: Settled, pause: float, job: _Job) -> None:
        if pause > self._limits.longest + 1.0:
            self._say(Wrong.SLOW, line.job, now, now, f"put off for {pause:.0f} s after {line.verdict}")
        job.expect(now + min(pause, self._limits.longest), self._late)

    def _applied(self, now: float, run: Run, line: Settled, job: _Job, began: float) -> None:
        if line.was != line.version:
            says = f"asked for at version {line.version}, applied at version {line.was}"
            self._say(Wrong.STALE, line.job, began, now, says)
        elif line.polls is not None and line.had != line.polls and job.applied not in (None, run.id):
            says = f"applied by {run.id} though {job.applied} had asked since"
            self._say(Wrong.STALE, line.job, began, now, says)
        job.applied = run.id

    def _close(self, now: float) -> None:
        for job_id, job in self._jobs.items():
            self._look(job_id, job, now)


_RULES: Final[dict[type, Callable[..., None]]] = {
    Began: Checker._began,
    Ended: Checker._ended,
    Lives: Checker._lives,
    Must: Checker._must,
    Put: Checker._put,
    Left: Checker._left,
    Asks: Checker._asks,
    Settled: Checker._settled,
    Waits: Checker._waits,
}
