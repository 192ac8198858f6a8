"""How much time has passed between two readings of a wall clock that somebody may have set meanwhile."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

ZERO = timedelta(0)


class ClockStep(Struct, frozen=True, gc=False):
    """The observer's wall clock was set: where it should have read `before` it read `after`. Aware UTC."""

    before: datetime
    after: datetime


def elapsed(since: datetime, now: datetime, steps: Iterable[ClockStep] = ()) -> timedelta:
    """Time from `since` to `now`, without what the clock was set forward or back in between. Never negative.

    A reading of an hour that came twice, as the clock was set back over it, is taken for the later one: then less time
    has passed, and nobody concludes anything from it too early.
    """
    age = now - since
    for step in steps:
        if since <= min(step.before, step.after) or now < since <= step.before:
            age -= step.after - step.before
    return max(age, ZERO)
