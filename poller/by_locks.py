"""Replicas that share the jobs by locks of the database server: each takes what is free, up to its fair part."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from db.replicas import Replica, Seen
from db.roster import SHARES
from poller.ownership import Held

TRUST: Final = 8.0  # seconds; less than db.replicas.SILENCE


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


class ByLocks:
    """A `Member` by its session at the database."""

    trust = TRUST

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self.take, self.release = replica.take, replica.release

    @property
    def polls(self) -> bool:
        """False for a replica that only answers the API."""
        return self._replica.polls

    def hold(self) -> Held:
        """Confirm our locks, give what is too much, take what is free. Any error: all our locks are lost."""
        seen = self._replica.look()
        slot = self._replica.slot
        if not self.polls or slot is None:
            return Held(others=seen.others)
        todo = plan(seen, slot)
        self._replica.give_shares(todo.give)
        taken = self._replica.take_shares(todo.take)
        return Held((seen.mine - set(todo.give)) | taken, seen.others)

    def sign(self, now: datetime, shares: int = 0) -> None:
        """Leave word of who we are and how much we hold, for people."""
        self._replica.sign(now, shares)

    def living(self) -> Collection[str]:
        """The ids of the replicas that live, ours among them; asks the database."""
        return self._replica.living()
