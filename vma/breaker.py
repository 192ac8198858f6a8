"""Whether an appliance is worth asking: after failures in a row it is left alone but for a probe every few seconds.

The libraries for this are unkept or bring a web framework; the rule is three counters.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from vma.observer import Observer

FAILURES: Final = 3  # transport failures in a row that open it; a 404 or garbage is an answer
PROBE_EVERY: Final = 5.0  # seconds


@dataclass(slots=True)
class Breaker:
    """One appliance's. Closed: everything is asked. Open: only `probe` asks, and its success closes it again.

    `listeners` hear of every change: True when it opened.
    """

    observer: Observer
    failures: int = 0
    opened_at: datetime | None = None
    last_error: str | None = None
    opened: int = 0  # times, since our start
    listeners: list[Callable[[bool], None]] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """True while only probes ask."""
        return self.opened_at is not None

    @property
    def says(self) -> str:
        """Why a job was not asked about."""
        since = f"{self.opened_at:%Y-%m-%d %H:%M:%S}Z" if self.opened_at else "now"
        return (
            f"not asked: the VMA has not answered since {since} ({self.last_error});"
            f" it is tried every {PROBE_EVERY:g} s"
        )

    def failed(self, error: str) -> None:
        """A transport failure: nothing came back, whatever was asked."""
        self.failures += 1
        self.last_error = error
        if not self.is_open and self.failures >= FAILURES:
            self.opened_at = self.observer.now()
            self.opened += 1
            self._tell(is_open=True)

    def answered(self) -> None:
        """Something came back over HTTP, whatever it says."""
        was_open, self.failures, self.opened_at = self.is_open, 0, None
        if was_open:
            self._tell(is_open=False)

    def _tell(self, *, is_open: bool) -> None:
        for listener in self.listeners:
            listener(is_open)
