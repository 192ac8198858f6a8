"""For the tests of programs that embed this one: a clock, jobs, answers, cases, and assertions that explain.

Installed as a pytest plugin: the fixtures are there without any import. Everything else is imported from here.
Nothing of the machine is loaded until a test uses it, so a test run that does not is not slowed down.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from fsm.testing.assertions import assert_moved, assert_refused
    from fsm.testing.cases import Case, transition_cases
    from fsm.testing.clock import FrozenClock
    from fsm.testing.factories import NOW, Observer, make_evidence, make_job

__all__ = [
    "NOW",
    "Case",
    "FrozenClock",
    "Observer",
    "assert_moved",
    "assert_refused",
    "frozen_clock",
    "make_evidence",
    "make_job",
    "observer",
    "transition_cases",
]

_ROOMS: Final = {
    "assertions": ("assert_moved", "assert_refused"),
    "cases": ("Case", "transition_cases"),
    "clock": ("FrozenClock",),
    "factories": ("NOW", "Observer", "make_evidence", "make_job"),
}


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"fsm.testing.{room}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


@pytest.fixture
def frozen_clock() -> "FrozenClock":
    """A clock that stands still until it is told to go on, at `fsm.testing.NOW`."""
    from fsm.testing.clock import FrozenClock  # noqa: PLC0415 # see above

    return FrozenClock()


@pytest.fixture
def observer(frozen_clock: "FrozenClock") -> "Observer":
    """Hears the VMA's answers at the times of `frozen_clock`."""
    from fsm.testing.factories import Observer  # noqa: PLC0415 # see above

    return Observer(frozen_clock)
