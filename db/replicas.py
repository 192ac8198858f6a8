"""Several replicas serve one database: who there is, and who holds which share of the jobs.

Each replica has one session at the database server. In it, it holds the lock of a numbered slot, by which the others
know that it lives, and a lock for each of its shares. A share saves questions; what makes writes correct is the
compare-and-swap, so a share may be lost at any moment. The rows of `service_replicas` only tell people who is who.
"""

import os
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine, delete, insert, text
from sqlalchemy.exc import DBAPIError

from db.coordinated import refuse_coordinated
from db.engine import read, redacted
from db.errors import LostSessionError, SecondProcessError, UnfitForReplicasError
from db.roster import GUESTS, POLLERS, SERVE, SHARES, Server, servers, slot_names, sole_holder
from db.session_locks import SessionLocks, lock_name
from db.tables import REPLICAS
from db.transactions import transact

SILENCE: Final = 10  # seconds after which the server takes a replica for dead


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look at the locks shows: slots of all replicas that poll, shares by who holds them."""

    pollers: frozenset[int]
    mine: frozenset[int]
    others: frozenset[int]

    @property
    def free(self) -> frozenset[int]:
        """The shares that nobody holds."""
        return frozenset(range(SHARES)) - self.mine - self.others


@dataclass(slots=True)
class Identity:
    """Who a replica is."""

    id: str
    host: str = field(default_factory=lambda: socket.gethostname()[:255])
    pid: int = field(default_factory=os.getpid)


class Replica:
    """This process among those that serve a database. Safe from any thread.

    `take`, `sign`, `check` and `release` are those of `db.sole.Sole`, which serves alone.
    """

    def __init__(self, engine: Engine, replica_id: str, *, polls: bool = True, silence: int = SILENCE) -> None:
        """`polls`: False for one that only answers the API. `silence`: seconds until the server takes us for dead."""
        self.identity, self.polls = Identity(replica_id), polls
        self.slot: int | None = None
        self._engine = engine
        self._locks = SessionLocks(engine, silence)
        self._turn = threading.Lock()
        self._slots = slot_names(engine)
        self._shares = {lock_name(engine, f"share-{n}"): n for n in range(SHARES)}
        self._serve = lock_name(engine, SERVE)
        self._since: datetime | None = None
        self._signed: int | None = None  # the slot in whose row we are

    def take(self) -> None:
        """Take a place among the replicas, unless we have one.

        UnfitForReplicasError for a database, or replicas, with which that cannot work; SecondProcessError if a
        process serves the database alone.
        """
        with self._turn:
            if self._in_place():
                return
            self._leave()
            self._locks.open()
            try:
                self._join()
            except BaseException:
                self._leave()
                raise

    def _in_place(self) -> bool:
        with suppress(DBAPIError):
            return self._locks.is_open and self.slot in self._my_slots()
        return False

    def _join(self) -> None:
        self._refuse_cluster()
        if self._locks.is_pooled():
            raise self._unfit(
                "a pooler gives each transaction another session, and a replica's locks belong to one session",
                "Give database_url the server's own address, or a pool of whole sessions",
            )
        self.slot = self._take_slot()
        if self._serve in self._locks.held([self._serve]):
            raise SecondProcessError(redacted(self._engine.url), sole_holder(self._engine))
        self._refuse_other_shares()
        if self._since is None:  # afterwards there is no time for that: others have our shares
            refuse_coordinated(self._engine)

    def _take_slot(self) -> int:
        kind = POLLERS if self.polls else GUESTS
        for name, slot in self._slots.items():
            if slot in kind and self._locks.take(name):
                return slot
        raise self._unfit(f"{len(kind)} replicas of this kind are the most there can be", "Stop one of them")

    def _refuse_cluster(self) -> None:
        """The locks of a Galera cluster are each node's own."""
        if self._engine.dialect.name == "postgresql":
            return
        with read(self._engine) as connection:
            found = connection.execute(text("SHOW VARIABLES LIKE 'wsrep_on'")).one_or_none()
        if found is not None and found[1] == "ON":
            raise self._unfit(
                "it is a node of a Galera cluster, where each node has locks of its own",
                "Serve it by one process (replicas.mode = single), or by a coordination server (tooz)",
            )

    def _refuse_other_shares(self) -> None:
        for other in self.others():
            if other.of_shares != SHARES:
                raise self._unfit(
                    f"{other} in {other.of_shares} shares, and this release knows {SHARES}",
                    "Stop the replicas of the other release first",
                )

    def _unfit(self, why: str, remedy: str) -> UnfitForReplicasError:
        return UnfitForReplicasError(redacted(self._engine.url), why, remedy)

    def others(self) -> list[Server]:
        """The other replicas that live, as far as they said who they are."""
        with read(self._engine) as connection:
            return [one for one in servers(connection) if one.alive and one.slot not in (None, self.slot)]

    def sign(self, now: datetime, shares: int = 0) -> None:
        """Leave word of who we are and how much we hold, for people."""
        slot, me = self.slot, self.identity
        if slot is None:
            return
        self._signed = slot if self._signed is None else self._signed
        self._since = self._since or now
        row = {"slot": slot, "id": me.id, "host": me.host, "pid": me.pid, "polls": self.polls, "shares": shares,
               "of_shares": SHARES, "since": self._since, "seen_at": now}  # fmt: skip

        def put(connection: Connection) -> None:
            ours = REPLICAS.c.slot.in_({slot, self._signed})  # by the key, so that no two wait for each other
            connection.execute(delete(REPLICAS).where(ours, (REPLICAS.c.slot == slot) | (REPLICAS.c.id == me.id)))
            connection.execute(insert(REPLICAS).values(row))

        transact(self._engine, put)
        self._signed = slot

    def check(self) -> bool:
        """True: our place is looked after with our shares, every second."""
        return True

    def look(self) -> Seen:
        """Who holds what; shows the server that we live. LostSessionError, DBAPIError: all our locks are lost."""
        with self._turn:
            locks = self._locks.held([*self._slots, *self._shares]) if self._locks.is_open else {}
        slots = {self._slots[name]: mine for name, mine in locks.items() if name in self._slots}
        if self.slot is None or not slots.get(self.slot, False):
            raise LostSessionError(redacted(self._engine.url))
        shares = {self._shares[name]: mine for name, mine in locks.items() if name in self._shares}
        mine = frozenset(share for share, is_mine in shares.items() if is_mine)
        return Seen(frozenset(slots) & frozenset(POLLERS), mine, frozenset(shares) - mine)

    def take_shares(self, wanted: Iterable[int]) -> frozenset[int]:
        """Take shares that are free; those that we got. DBAPIError: all our locks are lost."""
        with self._turn:
            return frozenset(n for n in wanted if self._locks.take(self._share(n)))

    def give_shares(self, given: Iterable[int]) -> None:
        """Let go of shares of ours. DBAPIError: all our locks are lost."""
        with self._turn:
            for n in given:
                self._locks.give(self._share(n))

    def living(self) -> set[str]:
        """The ids of the replicas that live, ours among them."""
        return {str(one.id) for one in self.others()} | {self.identity.id}

    def members(self) -> None:
        """No coordination server says who lives."""

    def release(self) -> None:
        """Leave: the others share out what we held."""
        with self._turn:
            was_there = self._locks.is_open
            self._leave()
        if was_there:
            with suppress(DBAPIError):
                transact(self._engine, lambda c: c.execute(delete(REPLICAS).where(REPLICAS.c.id == self.identity.id)))

    def _leave(self) -> None:
        self.slot = None
        self._locks.close()

    def _share(self, share: int) -> str:
        return lock_name(self._engine, f"share-{share}")

    def _my_slots(self) -> set[int]:
        return {self._slots[name] for name, is_mine in self._locks.held(self._slots).items() if is_mine}
