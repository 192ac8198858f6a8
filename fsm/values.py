"""Frozen values that differ from one another in a few fields: what every decision makes several of."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_V = TypeVar("_V", bound="DataclassInstance")


def changed(value: _V, **changes: Any) -> _V:
    """The value with these fields changed; the very same value if they say nothing new."""
    for name, new in changes.items():
        old = getattr(value, name)
        if old is not new and old != new:
            return copied(value, **changes)
    return value


def copied(value: _V, **changes: Any) -> _V:
    """`dataclasses.replace` for slotted dataclasses without `__post_init__`, in a third of its time."""
    kind = type(value)
    read, setters = _slots(kind)
    if not changes.keys() <= setters.keys():
        return replace(value, **changes)  # which says what is wrong with them
    copy: _V = object.__new__(kind)
    for put, old in zip(setters.values(), read(value)):  # noqa: B905 - one list makes both; the check costs a tenth
        put(copy, old)
    for name, new in changes.items():
        setters[name](copy, new)
    return copy


@cache
def _slots(kind: type) -> tuple[Callable[[Any], tuple[Any, ...]], dict[str, Callable[[Any, Any], None]]]:
    """How to read all fields of a value at once, and how to set each in spite of its being frozen."""
    names = kind.__slots__  # type: ignore[attr-defined] # only slotted classes come here
    return attrgetter(*names), {name: getattr(kind, name).__set__ for name in names}
