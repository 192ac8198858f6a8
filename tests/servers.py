"""Databases for tests: SQLite files, and databases of their own on the servers that this machine has."""

import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, Row, make_url, text
from sqlalchemy.exc import OperationalError

from db.engine import make_engine, read, write
from db.members import MemberRows
from db.replicas import Identity

SERVERS: Final = {
    "postgresql": os.environ.get("OMA_FSM_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres"),
    "mariadb": os.environ.get("OMA_FSM_TEST_MARIADB", "mysql://root@127.0.0.1:3306/test?ssl_disabled=true"),
}


def missing() -> dict[str, str]:
    """The servers that cannot be used, with why."""
    return {kind: problem for kind in SERVERS if (problem := _problem(kind))}


def kinds() -> list[str]:
    """The kinds of database that this machine has."""
    return ["sqlite", *(kind for kind in SERVERS if kind not in missing())]


@contextmanager
def empty(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database that nobody else uses; gone afterwards."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'jobs.db'}"
        return
    with _database(kind) as url:
        yield url


@contextmanager
def copy(kind: str, template: str, folder: Path) -> Iterator[str]:
    """The URL of a copy of the database at the URL `template`."""
    origin = make_url(template).database
    if kind == "sqlite":
        shutil.copy(str(origin), folder / "jobs.db")
        yield f"sqlite:///{folder / 'jobs.db'}"
    elif kind == "postgresql":
        with _database(kind, f" TEMPLATE {origin}") as url:
            yield url
    else:
        with _database(kind) as url:
            _replay(_statements(template), url)
            yield url


def _problem(kind: str) -> str | None:
    try:
        _run(kind, "SELECT 1")
    except OperationalError as error:
        return str(error.orig).strip().splitlines()[0]
    return None


@contextmanager
def _database(kind: str, options: str = "") -> Iterator[str]:
    name = f"oma_fsm_test_{uuid.uuid4().hex[:12]}"
    _run(kind, f"CREATE DATABASE {name}{options}")
    try:
        yield shown(make_url(SERVERS[kind]).set(database=name))
    finally:
        _run(kind, f"DROP DATABASE {name}{' WITH (FORCE)' if kind == 'postgresql' else ''}")


def _run(kind: str, statement: str) -> None:
    engine = make_engine(SERVERS[kind])
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()


def _statements(url: str) -> list[str]:
    """Tables, then their rows, and only then the triggers, which would not let them in."""
    engine = make_engine(url)
    with read(engine) as connection:
        names = connection.scalars(text("SHOW TABLES")).all()
        tables = [connection.execute(text(f"SHOW CREATE TABLE {name}")).one()[1] for name in names]
        triggers = [connection.execute(text(f"SHOW CREATE TRIGGER {row[0]}")).one()[2] for row in _triggers(connection)]
    engine.dispose()
    rows = [f"INSERT INTO {name} SELECT * FROM {engine.url.database}.{name}" for name in names]  # noqa: S608
    return [*tables, *rows, *triggers]


def _triggers(connection: Connection) -> Sequence[Row[Any]]:
    """In the order in which they fire, which is that of their making."""
    return connection.execute(text("SHOW TRIGGERS")).all()


def _replay(statements: list[str], url: str) -> None:
    engine = make_engine(url)
    with write(engine) as connection:
        connection.exec_driver_sql("SET foreign_key_checks = 0")  # contexts and jobs refer to each other
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def until_nobody_serves(engine: Engine) -> None:
    """Until the server has let go of the locks of those who closed their connections: that is when it comes to it."""
    rows = MemberRows(engine, Identity("looks"), polls=False)
    while engine.dialect.name != "sqlite" and rows.by_locks() is not None:
        time.sleep(0.01)


def shown(url: URL) -> str:
    """The URL with its password, for another process."""
    return url.render_as_string(hide_password=False)
