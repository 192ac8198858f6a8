"""One replica of several: which shares of all jobs it should have, and what it has."""

import asyncio
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import structlog

from db.replicas import Replica, Seen
from db.roster import SHARES
from db.transactions import short
from poller.ownership import Change
from vma.observer import Observer

log = structlog.get_logger(__name__)
TRUST: Final = 8.0  # seconds after a look was begun for which what it showed is believed; less than db.replicas.SILENCE
SIGN_EVERY: Final = 5  # looks


@lru_cache(maxsize=65536)
def share_of(job_id: str) -> int:
    """The share that a job belongs to, the same in every release."""
    return zlib.crc32(job_id.encode()) % SHARES


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replica should do about its shares now."""

    take: tuple[int, ...] = ()
    give: tuple[int, ...] = ()


def plan(seen: Seen, slot: int) -> Plan:
    """Everybody keeps as many as a fair share rounded up; nobody waits for shares that nobody has.

    Who takes begins elsewhere than the others do, so that two rarely want the same.
    """
    members = sorted(seen.pollers | {slot})
    fair = -(-SHARES // len(members))
    surplus = len(seen.mine) - fair
    if surplus > 0:
        return Plan(give=tuple(sorted(seen.mine)[-surplus:]))
    first = members.index(slot) * fair
    wanted = sorted(seen.free, key=lambda share: (share - first) % SHARES)
    return Plan(take=tuple(wanted[:-surplus]) if surplus else ())


class SharedOwnership:
    """The shares that this replica holds, as it may believe: what a look showed, for eight seconds."""

    shared = True

    def __init__(self, replica: Replica, observer: Observer) -> None:
        self._replica, self._observer = replica, observer
        self._mine: frozenset[int] = frozenset()
        self._others: frozenset[int] = frozenset()
        self._until = 0.0  # of the observer's uptime
        self._told = ""  # why we have no place, as it was logged last
        self._looks = 0
        self._left = False

    @property
    def polls(self) -> bool:
        """False for a replica that only answers the API."""
        return self._replica.polls

    def owns(self, job_id: str) -> bool:
        """True if its share was ours when we last looked, and that is not long ago."""
        return share_of(job_id) in self._mine and self._trusted

    def elsewhere(self, job_id: str) -> bool:
        """True if another replica owned the job when we last looked."""
        return share_of(job_id) in self._others

    @property
    def _trusted(self) -> bool:
        return self._observer.uptime() < self._until

    async def look(self) -> Change:
        """Confirm what is ours, take and give. If our session is lost all is lost at once, and another is begun."""
        before, began = self._mine, self._observer.uptime()
        try:
            mine, others = await asyncio.to_thread(self._look)
        except Exception as error:  # of whatever kind: the others may have our shares by now
            mine, others = frozenset(), self._others
            self._mine = mine
            await asyncio.to_thread(self._rejoin, error)
        else:
            self._told = ""
        believed = before if self._trusted else frozenset()  # what went unasked while it was not believed is gained
        self._mine, self._others, self._until = mine, others, began + TRUST
        change = Change(mine - believed, before - mine, len(mine))
        self._looks += 1
        if change.gained or change.lost or self._looks % SIGN_EVERY == 0:
            await asyncio.to_thread(self._sign, len(mine))
        return change

    def _look(self) -> tuple[frozenset[int], frozenset[int]]:
        seen = self._replica.look()
        slot = self._replica.slot
        if not self.polls or slot is None:
            return frozenset(), seen.others
        todo = plan(seen, slot)
        self._replica.give_shares(todo.give)
        taken = self._replica.take_shares(todo.take)
        return (seen.mine - set(todo.give)) | taken, seen.others

    def _sign(self, shares: int) -> None:
        try:
            self._replica.sign(self._observer.now(), shares)
        except Exception as error:  # people see old figures, no more
            log.warning("this replica's row cannot be written", why=str(error)[:200])

    def _rejoin(self, lost: Exception) -> None:
        if not self._told:
            log.error("This replica has lost its shares: others take them, and it tries to get some again",
                      why=short(lost))  # fmt: skip
        try:
            if not self._left:
                self._replica.take()
        except Exception as error:  # the next look tries again
            self._say(short(error))

    def _say(self, why: str) -> None:
        if why != self._told:
            log.error("This replica has no place among the others; it tries again every second", why=why)
        self._told = why

    async def leave(self) -> None:
        """Let the others have our shares now, not when our connection is missed."""
        self._mine, self._until, self._left = frozenset(), 0.0, True
        await asyncio.to_thread(self._replica.release)

    def living(self) -> Collection[str]:
        """The ids of all replicas that live, ours among them."""
        return self._replica.living()
