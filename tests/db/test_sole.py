"""One process serves a database; its claim goes with it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from oma_world import make_oma, only, seen, sql
from servers import shown, until_nobody_serves
from sqlalchemy import Engine
from structlog.testing import capture_logs

from api.facade import OmaFsm
from api.settings import Settings
from db.engine import make_engine
from db.errors import SecondProcessError
from db.sole import Sole, claimed
from migrations import adopt as adoption

NOW = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)
HOLD = """
import sys
from datetime import UTC, datetime
from db.engine import make_engine
from db.sole import Sole
sole = Sole(make_engine(sys.argv[1]))
sole.take()
sole.sign(datetime(2026, 11, 24, 3, 12, tzinfo=UTC))
print("mine", flush=True)
sys.stdin.read()
"""
MY_SESSION = {
    "postgresql": "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    "mysql": "SELECT IS_USED_LOCK('{name}')",
}
KILL = {"postgresql": "SELECT pg_terminate_backend({session})", "mysql": "KILL {session}"}


@pytest.fixture
def other(migrated_url: str) -> Iterator[Engine]:
    """The same database, opened by somebody else."""
    engine = make_engine(migrated_url)
    yield engine
    engine.dispose()


@contextmanager
def another_process(engine: Engine) -> Iterator[subprocess.Popen[str]]:
    """A process that has claimed the database."""
    command = [sys.executable, "-c", HOLD, shown(engine.url)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        yield process
        process.kill()


def end_session_of(sole: Sole, engine: Engine) -> None:
    """An administrator, or a restart of the server, ends the connection that holds the claim."""
    backend = engine.url.get_backend_name().replace("mariadb", "mysql")
    who = MY_SESSION[backend].format(name=sole._lock._name)  # type: ignore[attr-defined]
    [[session]] = seen(engine, who)
    sql(engine, KILL[backend].format(session=session))
    while seen(engine, who) not in ([], [(None,)]):  # a session ends when its process comes to it
        time.sleep(0.01)


@pytest.mark.process
def test_a_second_process_is_told_who_serves_since_when_and_what_to_do(migrated: Engine) -> None:
    with another_process(migrated) as process:
        with pytest.raises(SecondProcessError) as refused:
            Sole(migrated).take()
        told = str(refused.value)
        assert f"process {process.pid} on " in told
        assert "serving it since 2026-11-24 03:12:00Z" in told
        assert "Stop the other one, or give this one a database of its own" in told


@pytest.mark.process
def test_a_killed_process_leaves_the_database_to_the_next(migrated: Engine) -> None:
    with another_process(migrated) as process:
        process.kill()
        process.wait()
        until_nobody_serves(migrated)
        with claimed(migrated, "serving", 60) as sole:
            assert sole.check()


def test_a_claim_that_was_released_can_be_taken_by_another_and_not_before(migrated: Engine, other: Engine) -> None:
    first, second = Sole(migrated), Sole(other)
    first.take()
    first.take()  # it is ours already
    with pytest.raises(SecondProcessError, match="it has not yet said who it is"):
        second.take()
    first.release()
    until_nobody_serves(migrated)
    second.take()
    second.release()


def test_a_sqlite_file_is_one_database_by_whatever_name_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "here.db").symlink_to(tmp_path / "there" / "jobs.db")
    first, second = (make_engine(f"sqlite:///{tmp_path / name}") for name in ("there/jobs.db", "here.db"))
    with claimed(first, "serving", 60), pytest.raises(SecondProcessError):
        Sole(second).take()


def test_sqlite_files_whose_names_differ_in_their_endings_only_are_two_databases(tmp_path: Path) -> None:
    first, second = (make_engine(f"sqlite:///{tmp_path / name}") for name in ("jobs.test", "jobs.live"))
    with claimed(first, "serving", 60), claimed(second, "serving", 60):
        pass


def test_two_services_on_one_database_the_second_changes_nothing(migrated_url: str) -> None:
    first, second = (OmaFsm(Settings(database_url=migrated_url)) for _ in range(2))
    first.prepare()
    before = seen(first.engine, "SELECT * FROM service_holder")
    with pytest.raises(SecondProcessError):
        second.prepare()
    assert seen(first.engine, "SELECT * FROM service_holder") == before
    first.close()
    until_nobody_serves(second.engine)
    second.prepare()
    second.close()


def test_nobody_adopts_a_database_that_is_served(engine: Engine, database_url: str) -> None:
    make_oma(engine)
    serving = Sole(make_engine(database_url))
    serving.take()
    with pytest.raises(SecondProcessError):
        adoption.adopt(engine, adoption.ZoneInfo("Europe/Berlin"), datetime.now(UTC))
    assert seen(engine, "SELECT status FROM replication_jobs WHERE id = 'job-pending'") == [("pending",)]
    serving.release()
    serving._engine.dispose()


@only("postgresql", "mariadb")
def test_a_claim_that_was_lost_is_said_aloud_and_taken_again(migrated: Engine) -> None:
    with claimed(migrated, "serving", 60) as sole:
        end_session_of(sole, migrated)
        with capture_logs() as logs:
            assert sole.check()
        assert [line["event"] for line in logs] == ["The claim to the database was lost, and is taken again"]
        with capture_logs() as logs:
            assert sole.check()
        assert logs == []


@only("postgresql", "mariadb")
def test_a_claim_that_another_process_took_meanwhile_is_said_aloud_and_serving_goes_on(
    migrated: Engine, other: Engine
) -> None:
    with claimed(migrated, "serving", 60) as sole:
        end_session_of(sole, migrated)
        with claimed(other, "serving", 60), capture_logs() as logs:
            assert not sole.check()
        until_nobody_serves(migrated)
        [line] = logs
        assert line["log_level"] == "error"
        assert "another process may serve it too" in line["event"]
        assert sole.check(), "taken again once the other has gone"


@only("postgresql", "mariadb")
def test_the_server_takes_a_silent_holder_for_dead(migrated: Engine, other: Engine) -> None:
    silent = Sole(migrated, silence=1)
    silent.take()
    heir = Sole(other)
    for _ in range(200):
        try:
            heir.take()
        except SecondProcessError:
            seen(other, "SELECT pg_sleep(0.05)" if other.dialect.name == "postgresql" else "SELECT SLEEP(0.05)")
        else:
            break
    else:
        pytest.fail("not within 10 s")
    heir.release()
    silent.release()
