"""Replicas that share the jobs by who is there: all see the same members and work out the same shares, without a lock.

For a second or so after somebody came, two may ask about the same job; the compare-and-swap keeps that right.
"""

import hashlib
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import structlog
from sqlalchemy import Engine

from db.engine import redacted
from db.errors import UnfitForReplicasError
from db.members import MemberRows
from db.replicas import Identity
from db.roster import SHARES
from poller.coordination import EXPIRY, Group, Members
from poller.ownership import CoordinationAwayError, Held

log = structlog.get_logger(__name__)
TRUST: Final = 5.0  # seconds; less than poller.coordination.EXPIRY


@lru_cache(maxsize=8)
def dealt(members: frozenset[str]) -> tuple[str, ...]:
    """Whose each share is: the member's that draws the highest number for it and has room, a fair part rounded up.

    When one goes or comes, most shares stay where they are.
    """
    if not members:
        return ()
    room = dict.fromkeys(members, -(-SHARES // len(members)))
    holders = []
    for share in range(SHARES):
        holder = max((one for one in room if room[one]), key=lambda one: _draw(one, share))
        room[holder] -= 1
        holders.append(holder)
    return tuple(holders)


def _draw(member: str, share: int) -> bytes:
    return hashlib.blake2s(f"{share} {member}".encode()).digest()


class ByMembers:
    """A `Member` by a coordination server."""

    trust = TRUST

    def __init__(self, engine: Engine, url: str, replica_id: str, *, polls: bool = True, expiry: int = EXPIRY) -> None:
        """CoordinationUrlError."""
        self.identity, self.polls = Identity(replica_id), polls
        self._engine = engine
        self._rows = MemberRows(engine, self.identity, polls=polls)
        self._group = Group(url, replica_id, {"polls": polls, "shares": SHARES}, expiry=expiry)
        self._name: str | None = None  # of the group, as the database says
        self._met: Members = {}
        self._met_at = float("-inf")  # of the monotonic clock

    def take(self) -> None:
        """SecondProcessError if the database is served in another mode."""
        self._rows.refuse_other_modes()

    def sign(self, now: datetime, shares: int = 0) -> None:
        """Leave word of who we are; the first time, find the others before. UnfitForReplicasError.

        A coordination server that is away is no reason not to begin.
        """
        begins = self._name is None
        try:
            if begins:
                self._begin()
            self._rows.sign(now, shares, self.living())
        except UnfitForReplicasError:
            if begins:
                self._withdraw()
            raise

    def _begin(self) -> None:
        self._name = self._rows.group()
        try:
            self._meet()
        except CoordinationAwayError as error:
            log.error("The coordination server is away; the service begins without it", why=str(error))

    def _withdraw(self) -> None:
        self._name, self._met = None, {}
        self._group.leave()

    def hold(self) -> Held:
        """The shares that are ours among the members of now. CoordinationAwayError."""
        members = self._meet()
        holders = dealt(frozenset(one for one, says in members.items() if says.get("polls") and _is_like_us(says)))
        mine = frozenset(share for share, holder in enumerate(holders) if holder == self.identity.id)
        return Held(mine, frozenset(range(len(holders))) - mine)

    def _meet(self) -> Members:
        assert self._name is not None, "sign() first"  # noqa: S101 # a mistake of ours, not of a user
        is_new = self.identity.id not in self._met
        began = time.monotonic()
        members = self._group.meet(self._name)
        if is_new:
            self._refuse_other_shares(members)
        self._met, self._met_at = members, began
        return members

    def _refuse_other_shares(self, members: Members) -> None:
        for other, says in members.items():
            if not _is_like_us(says):
                raise UnfitForReplicasError(
                    redacted(self._engine.url),
                    f"replica {other} divides the jobs into {says.get('shares')} shares, and this release knows"
                    f" {SHARES}",
                    "Stop the replicas of the other release first",
                )

    def check(self) -> bool:
        """True: our place is looked after every second. Says so if a service of another mode was started beside us."""
        if (others := self._rows.by_locks()) is not None:
            log.error("A service of another replicas.mode polls the same jobs; stop one, or give all the same mode",
                      other=others)  # fmt: skip
        return True

    def members(self) -> Collection[str] | None:
        """The ids of the replicas that live; None if the coordination server has not said so just now."""
        return set(self._met) if time.monotonic() - self._met_at < EXPIRY else None

    def living(self) -> Collection[str]:
        """The ids of the replicas that live, ours among them; of all that are known if nobody can tell."""
        return {*(self._met or self._rows.known()), self.identity.id}

    def release(self) -> None:
        """Leave: the others share out what we held."""
        if self._name is not None:
            self._withdraw()
            self._rows.erase()


def _is_like_us(says: Mapping[str, Any]) -> bool:
    return says.get("shares") == SHARES
