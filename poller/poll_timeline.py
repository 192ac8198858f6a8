"""The lines of several poll logs on one line of time.

Runs of one boot of a machine are laid side by side by its monotonic clock, so that a wall clock that was set hides
nothing; machines among each other by their wall clocks.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from operator import itemgetter

import msgspec

from poller.poll_lines import Began, Line

Logs = Callable[[], Iterable[Iterable[Line]]]  # one after another, from the beginning each time


class PollLogDamagedError(ValueError):
    """A line that no poll log has."""

    def __init__(self, path: str, number: int, error: Exception) -> None:
        super().__init__(f"{path}, line {number}: not a line of a poll log ({error})")


@dataclass(slots=True)
class Run:
    """A process run: log time is `base` + uptime. `last`: of its last line."""

    id: str
    base: float
    began: float
    last: float = 0.0


def read_file(path: str) -> Iterator[Line]:
    """The lines of a log; a last line that was cut off by a kill is left out."""
    decode = msgspec.json.Decoder(Line).decode
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n"):
                try:
                    yield decode(line)
                except msgspec.DecodeError as error:
                    raise PollLogDamagedError(path, number, error) from error


class Timeline:
    """Lines of all logs, each with its log time, in order; read twice, since a killed run does not say that it ends."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self.runs: dict[str, Run] = {}
        self.left_out = 0
        self.zero: datetime | None = None  # the wall clock at log time 0
        self._boots: dict[str, float] = {}  # log time of each boot's monotonic zero
        for log in logs():
            for line in log:
                self._note(line)

    def _note(self, line: Line) -> None:
        if isinstance(line, Began):
            self._begin(line)
        run = self.runs.get(line.run)
        if run is None:
            self.left_out += 1
        else:
            run.last = max(run.last, run.base + line.up)

    def _begin(self, line: Began) -> None:
        at = datetime.fromisoformat(line.at) - timedelta(seconds=line.up)
        self.zero = self.zero or at
        boot = self._boots.setdefault(line.boot, (at - self.zero).total_seconds() - line.monotonic)
        base = boot + line.monotonic
        self.runs[line.run] = Run(line.run, base, base + line.up)

    def __iter__(self) -> Iterator[tuple[float, Run, Line]]:
        return merge(*(self._timed(log) for log in self._logs()), key=itemgetter(0))

    def _timed(self, log: Iterable[Line]) -> Iterator[tuple[float, Run, Line]]:
        for line in log:
            run = self.runs.get(line.run)
            if run is not None:
                yield run.base + line.up, run, line

    def wall(self, at: float) -> datetime:
        """Log time as the wall clock of the first run would show it."""
        assert self.zero is not None  # noqa: S101 # there is no log time without a first run
        return self.zero + timedelta(seconds=at)
