"""Engines: one way to open SQLite, PostgreSQL and MariaDB, and the two kinds of transaction."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool, StaticPool

from db.types import decoded, encoded

BUSY_TIMEOUT: Final = 10  # seconds that a writer on SQLite waits for another
HELD_TIMEOUT: Final = 10  # seconds that a statement waits for rows which somebody else holds on a server
CONNECT_TIMEOUT: Final = 10  # seconds
# A server whose host vanished says nothing, and by the system's own limits a thread would wait for it for hours.
VANISHED: Final = 30  # seconds; one that is slow but there is waited for
PROBED_AFTER: Final = 10  # seconds of silence
PROBE_EVERY: Final = 5  # seconds
DRIVERS: Final = {
    "sqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
EXTRAS: Final = {"postgresql": "postgresql", "mysql": "mariadb", "mariadb": "mariadb"}
SECRETS: Final = ("password", "passwd", "sslpassword")
# One option by which a connection knows, at its BEGIN, that it is going to write.
_WRITES: Final = "oma_fsm_writes"
# Without a strict mode MariaDB cuts what is too long, silently, and a cut JSON is none.
_MARIADB_SESSION: Final = "SET time_zone = '+00:00', sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')"

JSON: Final[dict[str, Any]] = {"json_serializer": encoded, "json_deserializer": decoded}
_PROBES: Final = (VANISHED - PROBED_AFTER) // PROBE_EVERY
_POSTGRESQL_ARGUMENTS: Final = {
    "connect_timeout": CONNECT_TIMEOUT,
    "application_name": "oma-fsm",
    "tcp_user_timeout": VANISHED * 1000,
    "keepalives_idle": PROBED_AFTER,
    "keepalives_interval": PROBE_EVERY,
    "keepalives_count": _PROBES,
}
_PYMYSQL_PROBES: Final = {  # by the names of the options, which not every system has
    "TCP_KEEPIDLE": PROBED_AFTER,
    "TCP_KEEPINTVL": PROBE_EVERY,
    "TCP_KEEPCNT": _PROBES,
    "TCP_USER_TIMEOUT": VANISHED * 1000,
}


class DatabaseUrlError(ValueError):
    """A database that cannot be opened as configured; the text says what to change."""


def make_engine(url: str, *, read_only: bool = False) -> Engine:
    """An engine for `url`: sqlite, postgresql (or postgres), mariadb or mysql.

    The folder of a SQLite file is made if it is missing, unless `read_only`; then every write is refused by the
    database. On the servers a transaction is READ COMMITTED, so a lost compare-and-swap sees who won.
    DatabaseUrlError for an URL that says nothing, an unknown database or a driver that is not installed.
    """
    target = _with_driver(url)
    if target.get_backend_name() == "sqlite":
        return _sqlite(target, read_only=read_only)
    return _server(target, read_only=read_only)


@contextmanager
def write(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: committed at the end, rolled back by an exception.

    On SQLite it takes the write lock at once, so it waits for its turn instead of failing half-way.
    """
    with engine.connect() as connection, connection.execution_options(**{_WRITES: True}).begin():
        yield connection


@contextmanager
def read(engine: Engine) -> Iterator[Connection]:
    """One transaction that only reads; on SQLite it sees one snapshot and waits for nobody."""
    with engine.connect() as connection, connection.begin():
        yield connection


def unpooled(engine: Engine, patience: int) -> Engine:
    """The same server, for a connection that is closed instead of pooled, and where each statement commits itself.

    A server that vanished is given up after `patience` seconds (PostgreSQL: of unacknowledged data).
    """
    postgres = engine.url.get_backend_name() == "postgresql"
    if postgres:
        arguments = _POSTGRESQL_ARGUMENTS | {"tcp_user_timeout": patience * 1000}
    else:
        arguments = _mariadb_arguments(read_only=False) | {"write_timeout": patience}
    alone = create_engine(engine.url, connect_args=arguments, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    if not postgres:
        event.listen(alone, "connect", lambda connection, _record: _wait(connection, patience))
    return alone


def redacted(url: str | URL) -> str:
    """The URL as it may be logged and shown."""
    try:
        shown = make_url(url)
    except (ArgumentError, ValueError):
        return "(not a database URL)"
    host = (shown.host or "").rpartition("@")[2]  # before an @ stands the end of a password that has one
    return shown.set(host=host).difference_update_query(SECRETS).render_as_string()


def _with_driver(url: str) -> URL:
    try:
        target = make_url(url)
    except (ArgumentError, ValueError):  # a port that is no number is a ValueError
        raise DatabaseUrlError(f"{redacted(url)}: expected e.g. sqlite:////var/lib/oma-fsm/jobs.db") from None
    driver = DRIVERS.get(target.drivername, target.drivername)
    if driver not in DRIVERS.values():
        raise DatabaseUrlError(f"{redacted(target)}: unknown database or driver; known are {', '.join(DRIVERS)}")
    if "@" in (target.host or ""):
        raise DatabaseUrlError(f"{redacted(target)}: in a password @ must be written as %40")
    return target.set(drivername=driver)


def _sqlite(url: URL, *, read_only: bool) -> Engine:
    if url.database in (None, "", ":memory:"):
        # One connection, else every thread would have an empty database of its own.
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False}, **JSON)
    else:
        _prepare_file(Path(str(url.database)), read_only=read_only)
        engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT}, **JSON)
    journal = () if read_only else ("journal_mode = WAL",)
    pragmas = (*journal, "foreign_keys = ON", "synchronous = FULL", f"query_only = {'ON' if read_only else 'OFF'}")
    _listen(engine, pragmas)
    return engine


def _prepare_file(path: Path, *, read_only: bool) -> None:
    if read_only:
        if not path.exists():
            raise DatabaseUrlError(f"{path}: no such database; `oma-fsm db upgrade` makes one")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUrlError(f"{path}: its folder cannot be made ({error.strerror}); check owner and path") from error


def _listen(engine: Engine, pragmas: tuple[str, ...]) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin or commit by itself
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _server(url: URL, *, read_only: bool) -> Engine:
    postgres = url.get_backend_name() == "postgresql"
    options = {"postgresql_readonly": read_only} if postgres else {}
    arguments = _POSTGRESQL_ARGUMENTS if postgres else _mariadb_arguments(read_only=read_only)
    try:
        engine = create_engine(
            url,
            connect_args=arguments,
            execution_options=options,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            **JSON,
        )
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        extra = EXTRAS[url.get_backend_name()]
        raise DatabaseUrlError(
            f"{redacted(url)}: the driver is not installed ({error}): pip install 'oma-fsm[{extra}]'"
        ) from error
    event.listen(engine, "connect", _impatient if postgres else _probed)
    return engine


def _impatient(connection: Any, _record: Any) -> None:
    """Not among the options of the connection, which poolers refuse."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{HELD_TIMEOUT}s'")
    connection.commit()  # or the setting is taken back with the first transaction that is


def _wait(connection: Any, seconds: int | None) -> None:
    """How long for an answer, once connected: for a server's first words PyMySQL has no limit of its own."""
    connection._read_timeout = seconds


def _probed(connection: Any, _record: Any) -> None:
    """PyMySQL has no option for it, and its limits of time would end slow statements too."""
    _wait(connection, None)
    to_server: socket.socket = connection._sock
    if to_server.family == socket.AF_UNIX:
        return
    to_server.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PYMYSQL_PROBES.items():
        if (option := getattr(socket, name, None)) is not None:
            to_server.setsockopt(socket.IPPROTO_TCP, option, value)


def _mariadb_arguments(*, read_only: bool) -> dict[str, Any]:
    # CLIENT.FOUND_ROWS, so that rowcount is the rows matched, is set by SQLAlchemy.
    session = f"{_MARIADB_SESSION}, innodb_lock_wait_timeout = {HELD_TIMEOUT}"
    session += ", SESSION tx_read_only = ON" if read_only else ""
    return {"connect_timeout": CONNECT_TIMEOUT, "read_timeout": CONNECT_TIMEOUT, "charset": "utf8mb4",
            "init_command": session}  # fmt: skip
