"""Who was asked, how often and when."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from datetime import datetime

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
    """Counts the requests that reached the data port, faulty answers included."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.clear()

    def clear(self) -> None:
        self._paths: Counter[str] = Counter()
        self._keys: Counter[str] = Counter()
        self._last: defaultdict[str, deque[datetime]] = defaultdict(lambda: deque(maxlen=LAST))

    def note(self, method: str, path: str, key: str | None) -> None:
        self._paths[f"{method} {path}"] += 1
        if method == "GET" and key is not None:
            self._keys[key] += 1
            self._last[key].append(self._now())

    def report(self) -> Requests:
        keys = {key: KeyRequests(count=n, last=list(self._last[key])) for key, n in self._keys.items()}
        return Requests(total=self._paths.total(), paths=dict(self._paths), keys=keys)
