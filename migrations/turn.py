"""Two processes that start at once both migrate; one waits for the other."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from db.engine import read, redacted, write
from migrations.errors import MigrationBusyError

PATIENCE: Final = 600  # seconds that one process waits for another
_POSTGRESQL_KEY: Final = int.from_bytes(b"oma-fsm")


@contextmanager
def alone(engine: Engine, patience: int = PATIENCE) -> Iterator[Connection]:
    """A transaction with no other migrating process beside it (MariaDB commits at each step within it).

    MigrationBusyError if the turn does not come within `patience` seconds.
    """
    turns = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mariadb, "mariadb": _mariadb}
    with turns[engine.dialect.name](engine, patience) as connection:
        yield connection


@contextmanager
def _sqlite(engine: Engine, patience: int) -> Iterator[Connection]:
    path = engine.url.database
    in_memory = path in (None, "", ":memory:")
    try:
        with (
            nullcontext() if in_memory else FileLock(f"{path}.migrating", timeout=patience),
            write(engine) as connection,
        ):
            yield connection
    except Timeout:
        raise _busy(engine, patience) from None


@contextmanager
def _postgresql(engine: Engine, patience: int) -> Iterator[Connection]:
    with write(engine) as connection:
        connection.execute(text(f"SET LOCAL lock_timeout = '{patience}s'"))
        try:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRESQL_KEY})
        except OperationalError:
            raise _busy(engine, patience) from None
        yield connection


@contextmanager
def _mariadb(engine: Engine, patience: int) -> Iterator[Connection]:
    # Names are the whole server's, and at most 64 characters long.
    name = {"name": "oma-fsm-" + hashlib.sha256(str(engine.url.database).encode()).hexdigest()[:32]}
    with read(engine) as holder:  # a connection of its own: the lock must outlive the commit
        if not holder.scalar(text("SELECT GET_LOCK(:name, :patience)"), name | {"patience": patience}):
            raise _busy(engine, patience)
        try:
            with write(engine) as connection:
                yield connection
        finally:
            holder.execute(text("DO RELEASE_LOCK(:name)"), name)


def _busy(engine: Engine, patience: int) -> MigrationBusyError:
    return MigrationBusyError(redacted(engine.url), patience)
