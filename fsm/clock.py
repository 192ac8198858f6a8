"""How much time has passed between two readings of a wall clock that somebody may have set meanwhile."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

ZERO = timedelta(0)
SKEW = timedelta(minutes=1)  # between the clocks of replicas: what lies so far in the future may have just been


class ClockStep(Struct, frozen=True, gc=False):
    """The observer's wall clock was set: where it should have read `before` it read `after`. Aware UTC."""

    before: datetime
    after: datetime


def elapsed(since: datetime, now: datetime, steps: Iterable[ClockStep] = ()) -> timedelta:
    """Time from `since` to `now`, without what the clock was set forward or back in between. Never negative.

    Of two that are possible it is the lesser, so that nobody concludes anything from it too early. A reading of an hour
    that came twice, as the clock was set back over it, is taken for the later one. And a clock that is set back makes
    nothing older than it says, but what lies well in the future: the time may be another replica's, or of before we
    were started, and its clock may have been right.
    """
    ahead = ZERO
    for step in steps:
        if since <= min(step.before, step.after) or now + SKEW < since <= step.before:
            ahead += step.after - step.before
    if since <= now:
        ahead = max(ahead, ZERO)
    return max(now - since - ahead, ZERO)
