"""Frozen values that differ from one another in a few fields: what every decision makes several of."""

from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

_V = TypeVar("_V", bound=Struct)


def changed(value: _V, **changes: Any) -> _V:
    """The value with these fields changed; the very same value if they say nothing new."""
    for name, new in changes.items():
        old = getattr(value, name)
        if old is not new and old != new:
            return replace(value, **changes)
    return value
