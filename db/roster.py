"""Who serves a database: by the locks that the living hold, and by the rows in which they said who they are."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, inspect, select

from db.engine import read
from db.session_locks import held, lock_name
from db.tables import HOLDER, REPLICAS

SHARES: Final = 64  # into which all jobs are divided; all replicas must agree, so it is no setting
POLLERS: Final = range(32)  # the slots of replicas that poll
GUESTS: Final = range(32, 64)  # and of those that only answer the API
COORDINATED: Final = 64  # and up: rows of replicas that a coordination server knows, not a lock of a slot
SERVE: Final = "serve"  # the lock of a process that serves alone


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves the database, or did.

    `alive` is None where only the operating system knows (SQLite), or a coordination server that was not asked.
    """

    mode: str  # single, database, tooz
    host: str
    pid: int
    since: datetime
    alive: bool | None
    polls: bool = True
    doing: str = "serving"
    id: str | None = None
    slot: int | None = None
    shares: int | None = None
    of_shares: int | None = None
    seen_at: datetime | None = None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, {self.doing} it since {self.since:%Y-%m-%d %H:%M:%S}Z"


def slot_names(engine: Engine) -> dict[str, int]:
    """The locks of all slots, by their names."""
    return {lock_name(engine, f"slot-{n}"): n for n in (*POLLERS, *GUESTS)}


def servers(connection: Connection, members: Collection[str] | None = None) -> list[Server]:
    """All that serve the database, or died serving it; the living first.

    `members`: the ids of the replicas that live by the coordination server; None if it was not asked.
    """
    engine = connection.engine
    if not inspect(connection).has_table(REPLICAS.name):
        return []
    on_server, slots = engine.dialect.name != "sqlite", slot_names(engine)
    locks = held(connection, [lock_name(engine, SERVE), *slots]) if on_server else {}
    alone = lock_name(engine, SERVE) in locks if on_server else None
    alive = {slots[name] for name in locks if name in slots}
    single = [
        Server("single", row.host, row.pid, row.since, alone, doing=row.doing)
        for row in connection.execute(select(HOLDER))
    ]
    replicas = [
        coordinated(row, members) if row.slot >= COORDINATED else _replica("database", row, row.slot in alive)
        for row in connection.execute(select(REPLICAS).order_by(REPLICAS.c.slot))
    ]
    lone = [one for one in single if one.alive is not False or not replicas]
    return sorted(lone + replicas, key=lambda one: one.alive is False)


def coordinated(row: Row[Any], members: Collection[str] | None) -> Server:
    """A replica by its row; `members` as for `servers`."""
    return _replica("tooz", row, None if members is None else row.id in members)


def _replica(mode: str, row: Row[Any], alive: bool | None) -> Server:
    return Server(mode, row.host, row.pid, row.since, alive, row.polls, "serving", row.id, row.slot,
                  0 if alive is False else row.shares, row.of_shares, row.seen_at)  # fmt: skip


def sole_holder(engine: Engine) -> str | None:
    """Who serves the database alone, or served it last, as far as is known."""
    with read(engine) as connection:
        if not inspect(connection).has_table(HOLDER.name):
            return None
        row = connection.execute(select(HOLDER)).one_or_none()
    return None if row is None else str(Server("single", row.host, row.pid, row.since, None, doing=row.doing))


def told(engine: Engine, slots: Iterable[int]) -> str:
    """The replicas that hold slots, in words."""
    wanted = set(slots)
    with read(engine) as connection:
        known: Sequence[Server] = [one for one in servers(connection) if one.slot in wanted and one.alive]
    return f"{len(wanted)} replicas live" + "".join(f"; {one}" for one in known)
