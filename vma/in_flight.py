"""How many requests an appliance gets at once: more while that does not slow it, fewer when it does.

It starts small, for an appliance at the end of a narrow tunnel; what was learned is kept over a restart. The measure
is the time of an answer against the quickest of late, as in TCP Vegas.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

START: Final = 8
MOST: Final = 128
SLOWER: Final = 2.0  # times the quickest answer: the appliance, or the way to it, is busy
GRACE: Final = 0.05  # seconds that are no slowness, whatever the ratio: for so long we may be busy ourselves
FORGET_AFTER: Final = 30.0  # seconds: the quickest answer is that of the last one or two such spans
SHRINK: Final = 0.9


@dataclass(slots=True)
class InFlight:
    """The places of one appliance, first come, first served. Belongs to one event loop."""

    floor: int = START
    ceiling: int = MOST
    learned: float = 0.0  # places, from an earlier run; 0: nothing yet
    limit: float = field(init=False)
    active: int = field(default=0, init=False)
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque, init=False)
    _quickest: tuple[float, float] = field(default=(float("inf"), float("inf")), init=False)  # this span's, the last's
    _span_ends: float = field(default=0.0, init=False)
    _slowed_until: float = field(default=0.0, init=False)
    _steep: bool = field(default=True, init=False)  # until the first slow answer every quick one adds a place

    def __post_init__(self) -> None:
        self.limit = min(max(self.learned, self.floor), self.ceiling)

    def enter(self) -> bool:
        """Take a place that is free; False if `wait` must be awaited instead. What is taken must be left."""
        if self.active >= int(self.limit):  # while somebody waits it always is
            return False
        self.active += 1
        return True

    async def wait(self) -> None:
        """Wait for a place, in turn."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()  # it was given a place at the moment of its cancellation
            raise

    def leave(self) -> None:
        """Make room for the next."""
        self.active -= 1
        self._admit()

    @property
    def waiting(self) -> int:
        """How many want a place and have none."""
        return sum(not place.done() for place in self._waiting)

    def answered(self, seconds: float, now: float) -> None:
        """An answer took so long. `now`: seconds of the observer's monotonic clock."""
        quickest = self._note(seconds, now)
        if seconds > SLOWER * quickest + GRACE:
            self._shrink(now, seconds)
        elif self.active + len(self._waiting) >= int(self.limit):  # it was the limit that held us back
            self.limit = min(self.limit + (1.0 if self._steep else 1.0 / self.limit), self.ceiling)
            self._admit()

    def _note(self, seconds: float, now: float) -> float:
        if now >= self._span_ends:
            self._quickest = (float("inf"), self._quickest[0])
            self._span_ends = now + FORGET_AFTER
        self._quickest = (min(self._quickest[0], seconds), self._quickest[1])
        return min(self._quickest)

    def _shrink(self, now: float, seconds: float) -> None:
        """Once per answer's time: what is under way was let in before we knew."""
        if now < self._slowed_until:
            return
        self._steep = False
        self._slowed_until = now + seconds
        self.limit = max(self.limit * SHRINK, self.floor)

    def _admit(self) -> None:
        for place in self._next():
            self.active += 1
            place.set_result(None)

    def _next(self) -> Iterator[asyncio.Future[None]]:
        while self._waiting and self.active < int(self.limit):
            place = self._waiting.popleft()
            if not place.done():
                yield place
