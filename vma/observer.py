"""Who asks: one run of this process, with its clocks."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Observer:
    """One run of this process. Both clocks can be given; they are read nowhere else.

    `clock` gives aware UTC, `monotonic` gives seconds that never step back.
    """

    clock: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    id: str = field(default_factory=lambda: uuid4().hex)
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.monotonic()

    def now(self) -> datetime:
        """The present, aware UTC."""
        return self.clock()

    def uptime(self) -> float:
        """Seconds since this run began, by the monotonic clock."""
        return self.monotonic() - self.started
