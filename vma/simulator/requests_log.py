"""Who was asked, how often and when."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime

from pydantic import BaseModel

LAST = 50


class KeyRequests(BaseModel):
    """GETs of one progress key: all counted, the last 50 with their time."""

    count: int
    last: list[datetime]


class Requests(BaseModel):
    """Data requests since the start or the last clearing; `paths` by "METHOD path"."""

    total: int
    paths: dict[str, int]
    keys: dict[str, KeyRequests]


class RequestLog:
    """Counts the requests that reached the data port, faulty answers included. `now`: seconds since the epoch."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.clear()

    def clear(self) -> None:
        self._paths: Counter[tuple[str, str]] = Counter()
        self._counts: Counter[str] = Counter()
        self._times: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))

    def note(self, method: str, path: str, key: str | None) -> None:
        self._paths[method, path] += 1
        if method == "GET" and key is not None:
            self._counts[key] += 1
            times = self._times[key]
            times.append(self._now())
            if len(times) >= 2 * LAST:
                del times[:LAST]

    def report(self) -> Requests:
        paths = {f"{method} {path}": n for (method, path), n in self._paths.items()}
        keys = {key: KeyRequests(count=n, last=self._last(key)) for key, n in self._counts.items()}
        return Requests(total=self._paths.total(), paths=paths, keys=keys)

    def _last(self, key: str) -> list[datetime]:
        return [datetime.fromtimestamp(at, UTC) for at in self._times[key][-LAST:]]
