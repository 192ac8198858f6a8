"""One process serves a database: the claim to it, a lock that goes with its process.

SQLite: a lock file beside the database. PostgreSQL, MariaDB: a session lock of the server on a connection of its own,
which the server drops when it has been silent for `silence` seconds. A claim saves questions and
confusion; what makes writes correct is their compare-and-swap, so losing it is a loud message and not an end.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import structlog
from filelock import FileLock, Timeout
from sqlalchemy import Engine, delete, insert
from sqlalchemy.exc import DBAPIError

from db.coordinated import refuse_coordinated
from db.engine import redacted, write
from db.errors import SecondProcessError, UnwritableError
from db.roster import SERVE, slot_names, sole_holder, told
from db.session_locks import SessionLocks, lock_name
from db.tables import HOLDER

log = structlog.get_logger(__name__)
SILENCE: Final = 60  # seconds after which a server takes a holder for dead; look at the claim four times as often


class _Lock(Protocol):
    def take(self) -> bool: ...
    def held(self) -> bool: ...
    def drop(self) -> None: ...


class Sole:
    """The claim of this process to one database. Safe from any thread."""

    def __init__(self, engine: Engine, doing: str = "serving", silence: int = SILENCE) -> None:
        self._engine, self._doing = engine, doing
        self._lock = _lock_for(engine, silence)
        self._turn = threading.Lock()
        self._mine = False

    def take(self) -> None:
        """Claim the database, unless we have it. SecondProcessError if another process has it.

        UnwritableError if the disk of a SQLite file takes no lock file.
        """
        with self._turn:
            if not (self._mine and self._lock.held()) and not self._lock.take():
                raise SecondProcessError(redacted(self._engine.url), sole_holder(self._engine))
            if not self._mine:
                self._refuse_coordinated()
            self._mine = True

    def _refuse_coordinated(self) -> None:
        try:
            refuse_coordinated(self._engine)
        except BaseException:
            self._lock.drop()
            raise

    def sign(self, now: datetime) -> None:
        """Leave word of who we are, for whoever is refused."""
        row = {"id": 1, "host": socket.gethostname()[:255], "pid": os.getpid(), "doing": self._doing, "since": now}
        with write(self._engine) as connection:
            connection.execute(delete(HOLDER))
            connection.execute(insert(HOLDER).values(row))

    def check(self) -> bool:
        """True if the claim stands; one that was lost is logged and taken again if it can be."""
        with self._turn:
            if not self._mine or self._lock.held():
                return True
            return self._again()

    def _again(self) -> bool:
        where = redacted(self._engine.url)
        with suppress(DBAPIError, SecondProcessError):
            if self._lock.take():
                log.error("The claim to the database was lost, and is taken again", database=where)
                return True
        log.error("The claim to the database is lost: another process may serve it too; stop one of them",
                  database=where)  # fmt: skip
        return False

    def members(self) -> None:
        """No coordination server says who lives."""

    def release(self) -> None:
        """Let go of the database."""
        with self._turn:
            self._lock.drop()
            self._mine = False


@contextmanager
def claimed(engine: Engine, doing: str, silence: int) -> Iterator[Sole]:
    """The database to ourselves for a while. SecondProcessError."""
    sole = Sole(engine, doing, silence)
    sole.take()
    try:
        yield sole
    finally:
        sole.release()


def _lock_for(engine: Engine, silence: int) -> _Lock:
    if engine.dialect.name != "sqlite":
        return _SessionLock(engine, silence)
    name = engine.url.database
    if name in (None, "", ":memory:"):
        return _NoLock()
    file = Path(str(name)).resolve()  # as SQLite does with its journal: by a link it is the same database
    return _FileLock(file.with_name(f"{file.name}.lock"))


class _NoLock:
    """A database in memory is nobody else's."""

    def take(self) -> bool:
        return True

    def held(self) -> bool:
        return True

    def drop(self) -> None:
        """Nothing to let go of."""


class _FileLock:
    """The operating system lets go of it when the process dies."""

    def __init__(self, path: Path) -> None:
        self._file = FileLock(path, thread_local=False)

    def take(self) -> bool:
        try:
            self._file.acquire(timeout=0)
        except Timeout:
            return False
        except OSError as error:
            raise UnwritableError(self._file.lock_file, error.strerror or str(error)) from error
        return True

    def held(self) -> bool:
        return True

    def drop(self) -> None:
        self._file.release(force=True)


class _SessionLock:
    """The server lets go of it when the connection ends."""

    def __init__(self, engine: Engine, silence: int) -> None:
        self._engine = engine
        self._locks = SessionLocks(engine, silence)
        self._name = lock_name(engine, SERVE)

    def take(self) -> bool:
        self._locks.open()
        if not self._locks.take(self._name):
            self._locks.close()
            return False
        self._refuse_replicas()
        return True

    def _refuse_replicas(self) -> None:
        slots = slot_names(self._engine)
        if living := self._locks.held(slots):
            self._locks.close()
            raise SecondProcessError(redacted(self._engine.url), told(self._engine, [slots[name] for name in living]))

    def held(self) -> bool:
        try:
            return self._locks.is_open and self._locks.held([self._name]).get(self._name, False)
        except DBAPIError:
            return False

    def drop(self) -> None:
        self._locks.close()
