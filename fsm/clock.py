"""How much time has passed between two readings of a wall clock that somebody may have set meanwhile."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

ZERO = timedelta(0)


class ClockStep(Struct, frozen=True, gc=False):
    """The observer's wall clock was set: where it should have read `before` it read `after`. Aware UTC.

    `began`: its first reading. What is older was told by a clock that it knows nothing of, which may have been right.
    """

    before: datetime
    after: datetime
    began: datetime | None = None


def elapsed(since: datetime, now: datetime, steps: Sequence[ClockStep] = ()) -> timedelta:
    """Time from `since` to `now`, without what the clock was set forward or back in between. Never negative.

    What cannot be known is taken for the lesser time, so that nobody concludes anything from it too early: a reading of
    an hour that came twice, as the clock was set back over it, for the later one; and no time is added to what is older
    than the observer, unless that lies in the future.
    """
    ahead = ZERO
    for step in steps:
        if since <= min(step.before, step.after) or now < since <= step.before:
            ahead += step.after - step.before
    if ahead < ZERO and since <= now and any(step.began is not None and since < step.began for step in steps):
        ahead = ZERO
    return max(now - since - ahead, ZERO)
