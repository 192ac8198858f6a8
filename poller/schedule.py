"""Who is asked next. In memory only: it can be thrown away and made again from the job rows at any time."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fsm.facts import Asked
from fsm.states import Asker

POLL = Asked(Asker.POLL)


@dataclass(slots=True)
class Entry:
    """One scheduled job. Times are seconds of the observer's monotonic clock."""

    job_id: str
    due: float
    asked: Asked = POLL  # who wants it asked next
    asking: Asked = POLL  # who wanted the question that is under way
    in_flight_since: float | None = None
    again: bool = False  # somebody wanted it asked while a question was under way


class Schedule:
    """At most one question per job in flight; the earliest due comes first."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._heap: list[tuple[float, str]] = []

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def get(self, job_id: str) -> Entry | None:
        """The entry of a job, if it is scheduled."""
        return self._entries.get(job_id)

    def put(self, job_id: str, due: float, asked: Asked = POLL) -> None:
        """Ask the job at `due`, or earlier if it is due earlier already; remembers who wants to know."""
        entry = self._entries.setdefault(job_id, Entry(job_id, due, asked))
        entry.asked = _weightier(asked, entry.asked)
        if entry.in_flight_since is not None:
            entry.again = True
            return
        entry.due = min(entry.due, due)
        heapq.heappush(self._heap, (entry.due, job_id))

    def put_behind(self, job_id: str, now: float, asked: Asked = POLL) -> None:
        """Take in a job about which an earlier question is still under way: it is asked when that is `done`."""
        self._entries[job_id] = Entry(job_id, now, asked, in_flight_since=now, again=True)

    def drop(self, job_id: str) -> None:
        """Ask the job no more."""
        self._entries.pop(job_id, None)

    def take_due(
        self, now: float, late: Callable[[float], object] = lambda _: None, limit: int = 500
    ) -> list[tuple[str, Asked]]:
        """The jobs to ask now; they are in flight until `done` or `drop`. `late` hears how late each is, in seconds."""
        taken: list[tuple[str, Asked]] = []
        while self._heap and self._heap[0][0] <= now and len(taken) < limit:
            due, job_id = heapq.heappop(self._heap)
            entry = self._entries.get(job_id)
            if entry is None or entry.in_flight_since is not None or entry.due != due:
                continue  # a leftover of an entry that was moved or dropped
            entry.in_flight_since = now
            late(now - due)
            taken.append((job_id, entry.asked))
            entry.asking, entry.asked = entry.asked, POLL
        return taken

    def done(self, job_id: str, due: float, now: float) -> None:
        """The question is answered; ask again at `due`, or at once if somebody wanted that meanwhile."""
        entry = self._entries.get(job_id)
        if entry is None:
            return
        entry.due = now if entry.again else due
        entry.again, entry.in_flight_since = False, None
        heapq.heappush(self._heap, (entry.due, job_id))

    def lost(self, job_id: str) -> None:
        """The question under way will never be answered; whoever wanted to know still does. `put` follows."""
        entry = self._entries.get(job_id)
        if entry is not None and entry.in_flight_since is not None:
            entry.asked = _weightier(entry.asked, entry.asking)
            entry.again, entry.in_flight_since = False, None

    def next_due(self) -> float | None:
        """When the next job is due; None if nothing waits."""
        while self._heap:
            due, job_id = self._heap[0]
            entry = self._entries.get(job_id)
            if entry is not None and entry.in_flight_since is None and entry.due == due:
                return due
            heapq.heappop(self._heap)
        return None


def _weightier(new: Asked, old: Asked) -> Asked:
    """Who is named when two want to know: a recovery, which waits for an answer of its own, before all others."""
    return max(new, old, key=lambda asked: (asked.by.is_recovery, asked.by is not Asker.POLL))
