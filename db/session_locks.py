"""Locks that a database server holds for one session: they go with its connection, whatever becomes of its process.

The connection is nobody else's, and the server ends it when it has been silent for `silence` seconds.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, literal, select, text
from sqlalchemy.exc import SQLAlchemyError

from db.engine import unpooled

_DROP_SILENT: Final = {
    "postgresql": "SET idle_session_timeout = '{}s'",
    "mysql": "SET SESSION wait_timeout = {}",
    "mariadb": "SET SESSION wait_timeout = {}",
}
_SESSION: Final = {"postgresql": func.pg_backend_pid, "mysql": func.connection_id, "mariadb": func.connection_id}
_POSTGRESQL_HELD: Final = text(
    "SELECT (classid::bigint << 32) | objid::bigint AS key, pid = pg_backend_pid() AS mine FROM pg_locks"
    " WHERE locktype = 'advisory' AND granted AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def lock_name(engine: Engine, what: str) -> str:
    """The name of one of a database's locks: MariaDB's names are the whole server's, and at most 64 characters long."""
    return f"oma-fsm-{what}-" + hashlib.sha256(str(engine.url.database).encode()).hexdigest()[:32]


def held(connection: Connection, names: Iterable[str]) -> dict[str, bool]:
    """Which of the locks are held now, in one statement: by name, True if it is by this very session."""
    if connection.dialect.name == "postgresql":
        found = {row.key: bool(row.mine) for row in connection.execute(_POSTGRESQL_HELD)}
        return {name: found[key] for name, key in _keys(connection, names).items() if key in found}
    asked = list(names)
    [me, *holders] = connection.execute(
        select(func.connection_id(), *(func.is_used_lock(literal(name)) for name in asked))
    ).one()
    return {name: holder == me for name, holder in zip(asked, holders, strict=True) if holder is not None}


def _keys(connection: Connection, names: Iterable[str]) -> Mapping[str, Any]:
    return {name: _lock(connection, name).actual_key for name in names}


def _lock(connection: Connection, name: str) -> Any:
    from sqlalchemy_dlock.factory import create_sadlock  # noqa: PLC0415 # not needed on SQLite

    return create_sadlock(connection, name)


class SessionLocks:
    """One session with locks of any name. Not for two threads at once.

    Whatever a method raises, the session is closed then, and all its locks are lost.
    """

    def __init__(self, engine: Engine, silence: int) -> None:
        self._engine, self._silence = engine, silence
        self._connection: Connection | None = None

    @property
    def is_open(self) -> bool:
        """True between open and close, even if the server has ended the session."""
        return self._connection is not None

    def open(self) -> None:
        """Begin a session, without locks."""
        self.close()
        connection = unpooled(self._engine, self._silence).connect()
        connection.execute(text(_DROP_SILENT[self._engine.dialect.name].format(self._silence)))
        self._connection = connection

    def take(self, name: str) -> bool:
        """Take a lock that is not ours yet; False if another session has it."""
        with self._ends_by_an_error() as session:
            return bool(_lock(session, name).acquire(block=False))

    def give(self, name: str) -> None:
        """Let go of a lock of ours."""
        with self._ends_by_an_error() as session:
            _lock(session, name).do_release()  # not `release`: its memory of what is locked is each thread's own

    def held(self, names: Iterable[str]) -> dict[str, bool]:
        """Which locks are held, True: by us; also shows the server that we live."""
        with self._ends_by_an_error() as session:
            return held(session, names)

    def is_pooled(self, tries: int = 3) -> bool:
        """True if statements of this connection are answered by changing sessions, as behind a pooler of transactions.

        Another connection that is within a transaction either gets our session, or pushes us to another.
        """
        with self._ends_by_an_error() as session:
            return any(self._changes(session) for _ in range(tries))

    def _changes(self, session: Connection) -> bool:
        mine = self._session_id(session)
        with self._within_a_transaction() as other:
            return other == mine or self._session_id(session) != mine

    @contextmanager
    def _within_a_transaction(self) -> Iterator[int]:
        with self._engine.connect() as connection, connection.begin():
            yield self._session_id(connection)

    @staticmethod
    def _session_id(connection: Connection) -> int:
        return int(connection.scalar(select(_SESSION[connection.dialect.name]())) or 0)

    def close(self) -> None:
        """End the session, and with it all locks."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()

    @contextmanager
    def _ends_by_an_error(self) -> Iterator[Connection]:
        """A connection that failed must not be mended by SQLAlchemy: the new session would have no locks."""
        assert self._connection is not None, "open() first"  # noqa: S101 # a mistake of ours, not of a user
        try:
            yield self._connection
        except BaseException:
            self.close()
            raise
