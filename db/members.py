"""What replicas of mode tooz keep in the database: the name of their group, and who they are.

The rows only tell people who is who; that one lives is said by its membership (poller/coordination.py).
"""

from collections.abc import Collection
from datetime import datetime
from uuid import uuid4

import structlog
from sqlalchemy import Connection, Engine, delete, insert, select

from db.engine import read, redacted
from db.errors import SecondProcessError, UnfitForReplicasError
from db.replicas import Identity
from db.roster import COORDINATED, GUESTS, POLLERS, SERVE, SHARES, slot_names, sole_holder, told
from db.session_locks import held, lock_name
from db.tables import GROUP, REPLICAS
from db.transactions import transact

log = structlog.get_logger(__name__)


class MemberRows:
    """The rows of one replica."""

    def __init__(self, engine: Engine, identity: Identity, *, polls: bool) -> None:
        self._engine, self._me, self._polls = engine, identity, polls
        kind = POLLERS if polls else GUESTS
        self._slots = range(COORDINATED + kind.start, COORDINATED + kind.stop)
        self._since: datetime | None = None
        self._slot: int | None = None  # of our row

    def group(self) -> str:
        """The name of the group of all replicas of this database; made if it has none yet."""
        return transact(self._engine, self._name)

    @staticmethod
    def _name(connection: Connection) -> str:
        name = group_of(connection)
        if name is None:  # two that make one at once: the second try finds the first one's
            name = f"oma-fsm-{uuid4().hex}"
            connection.execute(insert(GROUP).values(id=1, name=name))
        return name

    def by_locks(self) -> str | None:
        """Who serves the database in another mode, as far as the server's locks show it; None for nobody."""
        slots, serve = slot_names(self._engine), lock_name(self._engine, SERVE)
        with read(self._engine) as connection:
            found = held(connection, [serve, *slots])
        if serve in found:
            return sole_holder(self._engine) or "it has not yet said who it is"
        return told(self._engine, [slots[name] for name in found]) if found else None

    def refuse_other_modes(self) -> None:
        """SecondProcessError if the database is served by locks of its own."""
        if (others := self.by_locks()) is not None:
            raise SecondProcessError(redacted(self._engine.url), others)

    def sign(self, now: datetime, shares: int, living: Collection[str]) -> None:
        """Leave word of who we are and how much we hold, in the place of nobody who lives. UnfitForReplicasError."""
        me = self._me
        self._since = self._since or now
        row = {"id": me.id, "host": me.host, "pid": me.pid, "polls": self._polls, "shares": shares,
               "of_shares": SHARES, "since": self._since, "seen_at": now}  # fmt: skip

        def put(connection: Connection) -> int:
            found = connection.execute(select(REPLICAS.c.slot, REPLICAS.c.id).where(REPLICAS.c.slot >= COORDINATED))
            taken: dict[int, str] = {row.slot: row.id for row in found}
            slot = self._choose(taken, living)
            connection.execute(delete(REPLICAS).where(REPLICAS.c.slot == slot, REPLICAS.c.id == taken.get(slot)))
            connection.execute(insert(REPLICAS).values(slot=slot, **row))
            return slot

        self._slot = transact(self._engine, put)

    def _choose(self, taken: dict[int, str], living: Collection[str]) -> int:
        """Two that choose the same at once find it taken at their second try: the slot is the key."""
        for slot in self._slots:
            if taken.get(slot) == self._me.id:
                return slot
        usurper = taken.get(self._slot or 0)
        if usurper is not None and usurper not in living:
            log.error("A replica that is not in our group serves the database too: both ask about all jobs; give all"
                      " replicas the same replicas.coordination_url", replica=usurper)  # fmt: skip
        for slot in self._slots:
            if taken.get(slot) not in living:
                return slot
        raise UnfitForReplicasError(
            redacted(self._engine.url),
            f"{len(self._slots)} replicas of this kind are the most there can be",
            "Stop one of them",
        )

    def known(self) -> set[str]:
        """The ids of all replicas that have a row, whether they live or not."""
        with read(self._engine) as connection:
            return set(connection.scalars(select(REPLICAS.c.id).where(REPLICAS.c.slot >= COORDINATED)))

    def erase(self) -> None:
        """We leave."""
        transact(self._engine, lambda c: c.execute(delete(REPLICAS).where(REPLICAS.c.id == self._me.id)))


def group_of(connection: Connection) -> str | None:
    """The name of the group of this database's replicas; None if there never was one of mode tooz."""
    name = connection.scalar(select(GROUP.c.name))
    return None if name is None else str(name)
