"""Quantities as people write them in a scenario: sizes, rates, durations and percentages, always with their unit."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

MIB: Final = 2**20
SIZE_UNITS: Final = {"B": 1, "KiB": 2**10, "MiB": MIB, "GiB": 2**30, "TiB": 2**40}
RATE_UNITS: Final = {"KiB/s": 2**-10, "MiB/s": 1.0, "GiB/s": 2.0**10}  # in MiB/s
TIME_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LARGEST_DISK: Final = 64 * 2**40  # a VMDK ends at 62 TiB
LONGEST: Final = 366 * 86400.0
_QUANTITY: Final = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[A-Za-z%/]*)")
_DURATION: Final = re.compile(r"(?P<sign>-?)(?P<parts>(\d+(\.\d+)?(ms|s|m|h|d)\s*)+)")
_PART: Final = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>ms|s|m|h|d)")


def size(value: Any) -> int:
    """Bytes in such as "20 GiB". Raises ValueError."""
    return round(_quantity(value, SIZE_UNITS, 'a size such as "20 GiB"'))


def rate(value: Any) -> float:
    """MiB/s in such as "120 MiB/s". Raises ValueError."""
    return _quantity(value, RATE_UNITS, 'a rate such as "120 MiB/s"')


def percent(value: Any) -> float:
    """0-100 in such as "40%". Raises ValueError."""
    return _quantity(value, {"%": 1.0}, 'a percentage such as "40%"')


def duration(value: Any) -> float:
    """Seconds in such as "90s", "5m" or "1h30m"; "-7d" lies in the past. Raises ValueError."""
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'{value!r} is not a time such as "90s", "5m" or "1h30m" (units: {", ".join(TIME_UNITS)})')
    seconds = sum(float(part["number"]) * TIME_UNITS[part["unit"]] for part in _PART.finditer(found["parts"]))
    if seconds > LONGEST:
        raise ValueError(f"{value!r} is longer than {LONGEST / 86400:g} days")
    return -seconds if found["sign"] else seconds


def start(value: Any) -> float | None:
    """Seconds, also of the past; None for "replicate": when the OMA asks. Raises ValueError."""
    try:
        return None if value == "replicate" else duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, nor the word replicate") from error


def _quantity(value: Any, units: Mapping[str, float], wanted: str) -> float:
    found = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or found["unit"] not in units:
        unit = f"the unit {found['unit']} is none of" if found and found["unit"] else "units:"
        raise ValueError(f"{value!r} is not {wanted} ({unit} {', '.join(units)})")
    return float(found["number"]) * units[found["unit"]]


Size = Annotated[int, BeforeValidator(size), Field(le=LARGEST_DISK)]
Rate = Annotated[float, BeforeValidator(rate), Field(gt=0, le=100 * 1024)]
Percent = Annotated[float, BeforeValidator(percent), Field(le=100)]
Duration = Annotated[float, BeforeValidator(duration), Field(ge=0)]
Start = Annotated[float | None, BeforeValidator(start)]


def clock_text(seconds: float) -> str:
    """As "+00:01:30", days before hours where there are any: for tables and logs."""
    whole = abs(round(seconds))
    days, rest = divmod(whole, 86400)
    hours, minutes = divmod(rest // 60, 60)
    return f"{'-' if seconds < 0 else '+'}{f'{days}d ' if days else ''}{hours:02}:{minutes:02}:{rest % 60:02}"
