"""Lenient reading of one JSON object: whatever is odd is left out and noted, never raised."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

INT64_MAX: Final = 2**63 - 1
MAX_DIGITS: Final = 20  # with the sign; a longer whole number counts infinite
MAX_NOTES: Final = 10
MAX_TEXT: Final = 300
_MOST, _LEAST = 10**MAX_DIGITS, -(10 ** (MAX_DIGITS - 1))  # the first whole numbers with more digits
_MISSING: Final = object()


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """The text in one printable line of at most `limit` characters; control characters become escapes."""
    line = text[: limit + 1]
    if not line.isprintable():
        line = "".join(c if c.isprintable() else _harmless(c) for c in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _harmless(char: str) -> str:
    return " " if char.isspace() else char.encode("unicode_escape").decode("ascii")


class Fields:
    """The fields of one JSON object. All readers of one answer share their notes."""

    def __init__(self, raw: Mapping[str, Any], notes: list[str]) -> None:
        self._raw = raw
        self._notes = notes

    def __contains__(self, name: str) -> bool:
        return name in self._raw

    def within(self, raw: Mapping[str, Any]) -> "Fields":
        """Read another object, with the same notes."""
        return Fields(raw, self._notes)

    def raw(self, name: str) -> Any:
        """The value as parsed, None if absent."""
        return self._raw.get(name)

    def note(self, text: str) -> None:
        """Leave a note about something odd; the first ten are kept."""
        if len(self._notes) < MAX_NOTES:
            self._notes.append(clean(text))

    def child(self, name: str) -> "Fields":
        """An object within; empty if absent."""
        value = self._raw.get(name)
        if value is not None and not isinstance(value, dict):
            self._odd(name, value, "ignored")
        return self.within(value if isinstance(value, dict) else {})

    def items(self, name: str, limit: int) -> list[Any]:
        """At most `limit` entries of a list within; empty if absent."""
        value = self._raw.get(name)
        if value is not None and not isinstance(value, list):
            self._odd(name, value, "ignored")
        found = value if isinstance(value, list) else []
        if len(found) > limit:
            self.note(f"{name} has {len(found)} entries, only {limit} are read")
        return found[:limit]

    def text(self, name: str, limit: int = MAX_TEXT) -> str | None:
        """A text; None if absent, null or empty."""
        value = self._raw.get(name)
        if isinstance(value, str):
            text = value.strip()
            harmless = len(text) <= limit and text.isprintable()  # as nearly always
            return (text if harmless else clean(text, limit)) or None
        if value is not None:
            self._odd(name, value, "ignored")
        return None

    def count(self, name: str) -> int | None:
        """A whole number from 0 up to int64; below 0 counts 0."""
        value = self._raw.get(name)
        if type(value) is int and 0 <= value <= INT64_MAX:  # as nearly always; true is no number
            return value
        number = self._number(name)
        if number is None:
            return None
        if number != int(number) or abs(number) > INT64_MAX:
            self._odd(name, number, "ignored")
            return None
        if number < 0:
            self._odd(name, number, "taken for 0")
        return max(int(number), 0)

    def rate(self, name: str) -> float | None:
        """A number that cannot be negative."""
        value = self._raw.get(name)
        if type(value) is float and 0.0 <= value < math.inf:  # as nearly always
            return value
        number = self._number(name)
        if number is not None and number < 0:
            self._odd(name, number, "ignored")
            return None
        return None if number is None else float(number)

    def percent(self, name: str) -> float | None:
        """A percentage, clamped to 0-100."""
        value = self._raw.get(name)
        if type(value) is float and 0.0 <= value <= 100.0:  # as nearly always
            return value
        number = self._number(name)
        if number is None:
            return None
        clamped = min(max(number, 0), 100)
        if clamped != number:
            self._odd(name, number, f"taken for {clamped}")
        return float(clamped)

    def flag(self, name: str) -> bool:
        """True only if it says so."""
        return self._raw.get(name) is True

    def time(self, name: str) -> datetime | None:
        """An aware time in UTC. The year 1 is how older appliances spell "unknown"."""
        value = self.text(name)
        if value is None:
            return None
        try:
            parsed = datetime.fromisoformat(value)
            if parsed.year == 1:
                return None
            if parsed.tzinfo is None:
                self._odd(name, value, "ignored: no UTC offset")
                return None
            return parsed.astimezone(UTC)
        except (ValueError, OverflowError):
            self._odd(name, value, "ignored")
            return None

    def _number(self, name: str) -> int | float | None:
        value = _bounded(self._raw.get(name, _MISSING))
        if value is _MISSING:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self._odd(name, value, "ignored")
            return None
        return value

    def _odd(self, name: str, value: object, treatment: str) -> None:
        shown = type(value).__name__ if isinstance(value, dict | list) else repr(_bounded(value))
        self.note(f"{name} is {shown[:60]}: {treatment}")


def _bounded(value: Any) -> Any:
    return math.inf if type(value) is int and not _LEAST < value < _MOST else value
