"""Bodies as bytes: JSON as the appliance writes it, and a page that only wants the time filled in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

MOMENT: Final = "\x00moment"
ELAPSED: Final = "\x00elapsed"
_MOMENT: Final = b'"\\u0000moment"'
_ELAPSED: Final = b'"\\u0000elapsed"'
_ENCODER: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Page:
    """An envelope as text in which two moments and three ages are missing."""

    template: bytes
    started: datetime

    def at(self, now: datetime) -> bytes:
        """The body at that instant, byte for byte what `encode` makes of the envelope."""
        moment, elapsed = rfc3339(now).encode(), milliseconds(self.started, now)
        return self.template % (moment, moment, elapsed, elapsed, elapsed)


def page(fill: Callable[[object, object], dict[str, Any]], started: datetime) -> Page | None:
    """From `fill(moment, elapsed_ms)`. None if what a copy process posted looks like our marks."""
    text = encode(fill(MOMENT, ELAPSED)).replace(b"%", b"%%")
    if text.count(_MOMENT) != 2 or text.count(_ELAPSED) != 3:
        return None
    return Page(text.replace(_MOMENT, b'"%b"').replace(_ELAPSED, b"%d"), started)


def encode(body: dict[str, Any]) -> bytes:
    """Compact JSON and a newline; small numbers as Go writes them (9.5e-7), which the standard library does not."""
    return _ENCODER.encode(body) + b"\n"


def rfc3339(moment: datetime) -> str:
    """To the second, `Z` for UTC, else the zone's offset."""
    text = moment.isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "Z" if moment.utcoffset() == UTC.utcoffset(None) else text


def milliseconds(start: datetime, end: datetime) -> int:
    """Whole ones, towards zero."""
    return int((end - start).total_seconds() * 1000)
