"""A clock that tests set."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter

from fsm.policy import Duration

NOW: Final = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
_DURATION: Final = TypeAdapter[timedelta](Duration)
Span = timedelta | float | str


def span_of(span: Span) -> timedelta:
    """A span as the settings write it: "20m", "90s", "1.5h"; a number is seconds. pydantic.ValidationError."""
    return _DURATION.validate_python(span)


class FrozenClock:
    """A clock that stands still until it is told to go on. Hand it in where a program asks what time it is."""

    def __init__(self, now: datetime = NOW) -> None:
        self._real: list[Any] = []
        self.set(now)

    @property
    def now(self) -> datetime:
        """The time: aware, UTC."""
        return self._now

    def __call__(self) -> datetime:
        """The time, for programs that take a function."""
        return self._now

    def set(self, now: datetime) -> datetime:
        """Set the clock, forwards or back. ValueError for a time without a zone."""
        if now.tzinfo is None:
            msg = f"naive datetime {now.isoformat()}: give it a time zone, e.g. tzinfo=UTC"
            raise ValueError(msg)
        self._now = now.astimezone(UTC)
        for frozen in self._real:
            frozen.move_to(self._now)
        return self._now

    def advance(self, span: Span) -> datetime:
        """Let time pass: a timedelta, seconds, or as in "4m" or "1.5h"; never back."""
        return self.set(self._now + span_of(span))

    @contextmanager
    def frozen(self) -> Iterator["FrozenClock"]:
        """Within it `datetime.now` and `time.time` everywhere follow this clock. Needs freezegun (RuntimeError).

        freezegun stops the monotonic clock too: not for code that runs an event loop.
        """
        try:
            from freezegun import freeze_time  # noqa: PLC0415 # not everybody has it
        except ModuleNotFoundError:
            msg = "frozen() needs freezegun: pip install freezegun, or hand the clock in instead"
            raise RuntimeError(msg) from None
        with freeze_time(self._now) as real:
            self._real.append(real)
            try:
                yield self
            finally:
                self._real.remove(real)
