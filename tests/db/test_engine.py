"""How databases are opened, and what a transaction promises on each of them."""

import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from rows import put_vm, rows, run
from sqlalchemy import Connection, Engine, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from db.engine import DatabaseUrlError, make_engine, read, redacted, unpooled, write
from db.models import METADATA

CONTEXTS = METADATA.tables["vm_replication_contexts"]
SETTINGS = {
    "sqlite": {
        "PRAGMA journal_mode": "wal",
        "PRAGMA foreign_keys": 1,
        "PRAGMA synchronous": 2,
        "PRAGMA busy_timeout": 10_000,
    },
    "postgresql": {"SHOW transaction_isolation": "read committed", "SHOW application_name": "oma-fsm"},
    "mariadb": {
        "SELECT @@session.time_zone": "+00:00",
        "SELECT @@session.tx_isolation": "READ-COMMITTED",
        "SELECT @@session.character_set_client": "utf8mb4",
        "SELECT FIND_IN_SET('STRICT_TRANS_TABLES', @@session.sql_mode) > 0": 1,
    },
}


def jobs_run(connection: Connection) -> Any:
    return connection.scalar(select(CONTEXTS.c.total_jobs_run))


def set_jobs_run(connection: Connection, value: int) -> int:
    return connection.execute(update(CONTEXTS).values(total_jobs_run=value)).rowcount


def test_a_session_is_set_up_as_the_rules_need_it(kind: str, engine: Engine) -> None:
    with read(engine) as connection:
        found = {query: connection.scalar(text(query)) for query in SETTINGS[kind]}
    assert found == SETTINGS[kind]


OF_TCP = {"TCP_USER_TIMEOUT": 30_000, "TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}


def test_a_server_whose_host_vanished_is_given_up_after_half_a_minute(kind: str, engine: Engine) -> None:
    """By the system's own limits a thread that waits for its answer waits for hours, and polling with it."""
    if kind == "sqlite":
        return
    with read(engine) as connection:
        driver: Any = connection.connection.driver_connection
        end = driver if kind == "postgresql" else driver._sock
        with socket.socket(fileno=os.dup(end.fileno())) as to_server:
            assert to_server.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            found = {name: to_server.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in OF_TCP}
    assert found == OF_TCP


@pytest.mark.parametrize("pooled", [True, False], ids=["pooled", "of its own"])
def test_a_mariadb_that_takes_the_connection_and_says_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch, pooled: bool
) -> None:
    """As one that is frozen, or behind a tunnel whose other end is gone."""
    monkeypatch.setattr("db.engine.CONNECT_TIMEOUT", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        engine = make_engine(f"mysql://oma@127.0.0.1:{silent.getsockname()[1]}/oma")
        began = time.monotonic()
        with pytest.raises(DBAPIError, match="timed out"):
            (engine if pooled else unpooled(engine, 60)).connect()
        assert time.monotonic() - began < 5


def test_a_statement_that_takes_longer_than_a_connection_may_is_waited_for(
    kind: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind != "mariadb":  # PostgreSQL's limit is the driver's own
        return
    monkeypatch.setattr("db.engine.CONNECT_TIMEOUT", 1)
    engine = make_engine(database_url)
    patient, impatient = unpooled(engine, 30), unpooled(engine, 1)
    for one in (engine, patient):
        with one.connect() as connection:
            assert connection.scalar(text("SELECT SLEEP(1.5)")) == 0
    with impatient.connect() as connection, pytest.raises(DBAPIError, match="timed out"):
        connection.execute(text("SELECT SLEEP(5)"))
    engine.dispose()


def test_a_write_is_there_afterwards(migrated: Engine) -> None:
    put_vm(migrated)
    with write(migrated) as connection:
        set_jobs_run(connection, 7)
    with read(migrated) as connection:
        assert jobs_run(connection) == 7


def test_a_write_that_fails_half_way_leaves_nothing(migrated: Engine) -> None:
    put_vm(migrated)

    def half_way() -> None:
        with write(migrated) as connection:
            set_jobs_run(connection, 7)
            connection.execute(update(CONTEXTS).values(current_job_id="job-unknown"))

    with pytest.raises(IntegrityError):
        half_way()
    with read(migrated) as connection:
        assert jobs_run(connection) == 0


def test_rows_that_match_count_even_if_nothing_in_them_changes(migrated: Engine) -> None:
    put_vm(migrated)
    put_vm(migrated, "pgtest2")
    with write(migrated) as connection:
        assert set_jobs_run(connection, 0) == 2


def test_a_reader_does_not_wait_for_a_writer_and_does_not_see_its_work(migrated: Engine) -> None:
    put_vm(migrated)
    with write(migrated) as writer:
        set_jobs_run(writer, 7)
        with read(migrated) as reader:
            assert jobs_run(reader) == 0


def test_a_deleted_vm_takes_its_jobs_along_because_keys_are_enforced(migrated: Engine) -> None:
    put_vm(migrated)
    run(migrated, "DELETE FROM vm_replication_contexts")
    assert rows(migrated, "replication_jobs") == []


def test_writers_on_sqlite_take_turns_and_lose_nothing(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'jobs.db'}")
    run(engine, "CREATE TABLE counter (n integer)")
    run(engine, "INSERT INTO counter VALUES (0)")
    errors: list[Exception] = []

    def count_up() -> None:
        try:
            for _ in range(25):
                with write(engine) as connection:
                    seen = connection.scalar(text("SELECT n FROM counter"))
                    connection.execute(text("UPDATE counter SET n = :n"), {"n": seen + 1})
        except DBAPIError as error:
            errors.append(error)

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with read(engine) as connection:
        assert (errors, connection.scalar(text("SELECT n FROM counter"))) == ([], 100)
    engine.dispose()


def test_a_read_only_engine_reads_and_the_database_refuses_its_writes(migrated: Engine, migrated_url: str) -> None:
    put_vm(migrated)
    engine = make_engine(migrated_url, read_only=True)
    with pytest.raises(DBAPIError, match=r"(?i)read.?only"), write(engine) as connection:
        set_jobs_run(connection, 7)
    with read(engine) as connection:
        assert jobs_run(connection) == 0
    engine.dispose()


def test_a_read_only_engine_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUrlError, match=r"jobs\.db: no such database; `oma-fsm db upgrade` makes one"):
        make_engine(f"sqlite:///{tmp_path / 'jobs.db'}", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_sqlite_file_is_made(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'var' / 'lib' / 'jobs.db'}")
    with read(engine) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUrlError, match=r"file/jobs/jobs\.db: its folder cannot be made .*check owner and path"):
        make_engine(f"sqlite:///{tmp_path / 'file' / 'jobs' / 'jobs.db'}")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_one_for_all_threads(url: str) -> None:
    engine = make_engine(url)
    run(engine, "CREATE TABLE counter (n integer)")
    thread = threading.Thread(target=run, args=(engine, "INSERT INTO counter VALUES (1)"))
    thread.start()
    thread.join()
    with read(engine) as connection:
        assert connection.scalar(text("SELECT n FROM counter")) == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("postgres://u@h/x", "postgresql+psycopg"),
        ("postgresql://u@h/x", "postgresql+psycopg"),
        ("postgresql+psycopg://u@h/x", "postgresql+psycopg"),
        ("mysql://u@h/x", "mysql+pymysql"),
        ("mariadb://u@h/x", "mariadb+pymysql"),
    ],
)
def test_the_driver_need_not_be_named(url: str, driver: str) -> None:
    assert make_engine(url).url.drivername == driver


@pytest.mark.parametrize("url", ["oracle://u:secret@h/x", "postgresql+asyncpg://u:secret@h/x"])
def test_an_unknown_database_is_refused_with_the_known_ones_and_without_the_password(url: str) -> None:
    with pytest.raises(DatabaseUrlError, match="unknown database or driver; known are sqlite, postgres") as refused:
        make_engine(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["", "jobs.db", "sqlite:/jobs.db", "postgresql://h:port/x"])
def test_something_that_is_no_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(DatabaseUrlError, match=r"expected e\.g\. sqlite:////var/lib/oma-fsm/jobs\.db"):
        make_engine(url)


def test_a_password_with_an_at_is_refused_before_its_end_is_taken_for_a_host() -> None:
    with pytest.raises(DatabaseUrlError, match="in a password @ must be written as %40") as refused:
        make_engine("postgresql://u:sec@ret@h/x")
    assert str(refused.value).startswith("postgresql://u:***@h/x: ")


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [("postgresql://u:secret@h/x", "psycopg", "postgresql"), ("mariadb://u:secret@h/x", "pymysql", "mariadb")],
)
def test_a_driver_that_is_not_installed_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, url: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        DatabaseUrlError, match=rf"driver is not installed .*pip install 'oma-fsm\[{extra}\]'"
    ) as missing:
        make_engine(url)
    assert "secret" not in str(missing.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:secret@h/x", "postgresql://u:***@h/x"),
        ("postgresql://u:sec@ret@h:1/x", "postgresql://u:***@h:1/x"),
        ("postgresql://h/x?user=u&password=secret", "postgresql://h/x?user=u"),
        ("sqlite:////var/lib/jobs.db", "sqlite:////var/lib/jobs.db"),
        ("secret", "(not a database URL)"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redacted(url) == shown
