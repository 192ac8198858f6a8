"""Frozen values that differ from one another in a few fields."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_V = TypeVar("_V", bound="DataclassInstance")


def changed(value: _V, **changes: Any) -> _V:
    """The value with these fields changed; the very same value if they say nothing new."""
    same = all(getattr(value, name) == new for name, new in changes.items())
    return value if same else replace(value, **changes)
