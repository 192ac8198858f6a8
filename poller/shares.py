"""One replica of several: what of all jobs it may believe to be its own, and for how long."""

import zlib
from collections.abc import Collection
from functools import lru_cache
from typing import Final

import structlog

from db.roster import SHARES
from db.transactions import short
from poller.ownership import Change, CoordinationAwayError, Held, Member
from poller.threads import Threads
from vma.observer import Observer

log = structlog.get_logger(__name__)
SIGN_EVERY: Final = 5  # looks
ALL: Final = frozenset(range(SHARES))


@lru_cache(maxsize=65536)
def share_of(job_id: str) -> int:
    """The share that a job belongs to, the same in every release."""
    return zlib.crc32(job_id.encode()) % SHARES


class SharedOwnership:
    """The shares that this replica holds, as it may believe: what a look showed, for some seconds.

    While nobody can know who lives, every replica that polls asks about all jobs: that costs questions, and no job is
    silent.
    """

    shared = True

    def __init__(self, member: Member, observer: Observer) -> None:
        self._member, self._observer = member, observer
        self._thread = Threads("shares")  # its own: a look that waits behind other work costs us all shares
        self._held = Held()
        self._until = 0.0  # of the observer's uptime
        self._told = ""  # why we have no place, as it was logged last
        self._alone = False  # the coordination server is away for longer than we may believe what it said
        self._doubts = 0  # looks in a row that failed when nothing could be believed any more
        self._reason = ""  # why it is, as it was logged last
        self._looks = 0
        self._left = False

    @property
    def polls(self) -> bool:
        """False for a replica that only answers the API."""
        return self._member.polls

    def owns(self, job_id: str) -> bool:
        """True if its share was ours when we last looked, and that is not long ago."""
        return share_of(job_id) in self._held.mine and self._trusted

    def elsewhere(self, job_id: str) -> bool:
        """True if another replica owned the job when we last looked."""
        return share_of(job_id) in self._held.others

    @property
    def _trusted(self) -> bool:
        return self._observer.uptime() < self._until

    async def look(self) -> Change:
        """Confirm what is ours, take and give. If our session is lost all is lost at once, and another is begun."""
        before, began = self._held.mine, self._observer.uptime()
        held, until = await self._hold(began)
        believed = before if self._trusted else frozenset()  # what went unasked while it was not believed is gained
        self._held, self._until = held, until
        change = Change(held.mine - believed, before - held.mine, len(held.mine))
        self._looks += 1
        if change.gained or change.lost or self._looks % SIGN_EVERY == 0:
            await self._thread.run(self._sign, len(held.mine))
        return change

    async def _hold(self, began: float) -> tuple[Held, float]:
        """What is held, and until when that may be believed."""
        try:
            held = await self._thread.run(self._member.hold)
        except CoordinationAwayError as error:
            return self._nobody_knows(began, error)
        except Exception as error:  # of whatever kind: the others may have our shares by now
            self._held = Held(others=self._held.others)
            await self._thread.run(self._rejoin, error)
            return self._held, began + self._member.trust
        if self._alone:
            log.info("The coordination server answers again; the jobs are shared out", held=len(held.mine))
        self._told, self._alone, self._doubts = "", False, 0
        return held, began + self._member.trust

    def _nobody_knows(self, began: float, error: CoordinationAwayError) -> tuple[Held, float]:
        if began < self._until and not self._alone:  # it may be back before that; or we were frozen while we looked
            return (self._held if self._trusted else Held(others=self._held.others)), self._until
        self._doubts += 1
        if self._doubts == 1:  # right after we were frozen the first look may fail by that alone
            return Held(others=self._held.others), self._until
        if not self._alone or error.reason != self._reason:
            log.error("The coordination server is away: this replica asks about all jobs until it is back"
                      if self.polls else "The coordination server is away: who polls what is not known",
                      why=str(error))  # fmt: skip
        self._alone, self._reason = True, error.reason
        return (Held(mine=ALL) if self.polls else self._held), self._observer.uptime() + self._member.trust

    def _sign(self, shares: int) -> None:
        try:
            self._member.sign(self._observer.now(), shares)
        except Exception as error:  # people see old figures, no more
            log.warning("this replica's row cannot be written", why=str(error)[:200])

    def _rejoin(self, lost: Exception) -> None:
        if not self._told:
            log.error("This replica has lost its shares: others take them, and it tries to get some again",
                      why=short(lost))  # fmt: skip
        try:
            if not self._left:
                self._member.take()
        except Exception as error:  # the next look tries again
            self._say(short(error))

    def _say(self, why: str) -> None:
        if why != self._told:
            log.error("This replica has no place among the others; it tries again every second", why=why)
        self._told = why

    async def leave(self) -> None:
        """Let the others have our shares now, not when our connection is missed."""
        self._held, self._until, self._left = Held(), 0.0, True
        await self._thread.run(self._member.release)

    def living(self) -> Collection[str]:
        """The ids of all replicas that live, ours among them."""
        return self._member.living()
