"""The specifications that a database keeps, and the states that keep a release from serving it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rows import make_oma_tables, put_vm, rows
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError
from store_builders import NOW
from structlog.testing import capture_logs

import api.facade
import db.specs
from api.facade import OmaFsm
from api.settings import Settings
from db import specs
from db.engine import read, write
from db.errors import UnknownSpecError, UnknownStatesError
from db.store import Store
from db.tables import SPECS
from fsm.policy import DEFAULT_POLICY
from fsm.snapshot import snapshot
from fsm.spec import spec_hash
from fsm.states import State
from migrations import runner


@contextmanager
def refused(store: Store) -> Iterator[list[UnknownStatesError]]:
    found: list[UnknownStatesError] = []
    with pytest.raises(UnknownStatesError) as error:
        store.require_known_states()
    found.append(error.value)
    yield found


def kept(engine: Engine, name: str) -> dict[str, Any]:
    with read(engine) as connection:
        return specs.kept(connection, name)


# --- the specifications --------------------------------------------------------------------------


def test_a_specification_is_kept_once_with_the_time_it_was_first_seen(own_store: Store) -> None:
    assert own_store.note_spec(NOW)
    assert not own_store.note_spec(NOW + timedelta(days=1))
    [row] = rows(own_store.engine, "spec_versions", "hash")
    assert row == {"hash": spec_hash()}
    with read(own_store.engine) as connection:
        assert connection.execute(SPECS.select()).mappings().one()["first_seen_at"] == NOW


def test_what_is_kept_is_the_snapshot_as_it_was(own_store: Store) -> None:
    own_store.note_spec(NOW)
    found = kept(own_store.engine, spec_hash())
    assert found == snapshot()
    assert list(found["edges"]) == list(snapshot()["edges"])


def test_two_processes_that_start_at_once_keep_it_once(own_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    note, tries = db.specs.note, []

    def overtaken(connection: Connection, now: Any) -> bool:
        tries.append(now)
        if len(tries) == 1:
            connection.execute(SPECS.insert().values(hash=spec_hash(), snapshot=snapshot(), first_seen_at=NOW))
            connection.execute(SPECS.insert().values(hash=spec_hash(), snapshot=snapshot(), first_seen_at=NOW))
        return note(connection, now)

    monkeypatch.setattr(db.specs, "note", overtaken)
    assert own_store.note_spec(NOW)
    assert len(tries) == 2
    assert len(rows(own_store.engine, "spec_versions", "hash")) == 1


def test_an_unknown_hash_names_those_that_are_kept(own_store: Store) -> None:
    with pytest.raises(UnknownSpecError, match=r"'abc'.*none yet"):
        kept(own_store.engine, "abc")
    own_store.note_spec(NOW)
    with pytest.raises(UnknownSpecError, match=rf"no specification 'abc' .*kept are {spec_hash()}"):
        kept(own_store.engine, "abc")


def test_jobs_are_counted_in_states_known_and_unknown(own_store: Store) -> None:
    put_vm(own_store.engine, "a", "paused")
    put_vm(own_store.engine, "b", "paused")
    put_vm(own_store.engine, "c", "failed")
    with read(own_store.engine) as connection:
        assert specs.rows_in(connection, ["paused", "failed", "dancing"]) == {"paused": 2, "failed": 1}
        assert specs.rows_in(connection, []) == {}


# --- unknown states ------------------------------------------------------------------------------


def test_a_database_of_known_states_is_served(own_store: Store) -> None:
    own_store.require_known_states()
    for state in State:
        put_vm(own_store.engine, f"vm-{state}", state)
    own_store.require_known_states()


def test_one_job_in_an_unknown_state_is_named_with_the_way_out(own_store: Store) -> None:
    put_vm(own_store.engine, "good", "replicating")
    put_vm(own_store.engine, "odd", "paused")
    with refused(own_store) as [error]:
        assert (error.jobs, error.count) == ([("job-odd", "paused")], 1)
        text = str(error)
    assert text.startswith("1 job stands in a state that this release does not know")
    assert "job-odd (paused)." in text
    assert "job-good" not in text
    assert "initializing, attaching, configuring, ready_for_sync, replicating, completed, failed" in text
    assert "oma-fsm spec diff" in text
    assert "start the release that knows these states" in text


def test_of_many_jobs_twenty_are_named_and_all_are_counted(own_store: Store) -> None:
    for n in range(23):
        put_vm(own_store.engine, f"vm{n:02}", "paused")
    with refused(own_store) as [error]:
        assert [job for job, _ in error.jobs] == [f"job-vm{n:02}" for n in range(20)]
        assert error.count == 23
        assert "23 jobs stand" in str(error)
        assert "job-vm19 (paused) and 3 more." in str(error)


def test_a_state_of_other_capitals_and_an_empty_one_are_unknown(own_store: Store) -> None:
    put_vm(own_store.engine, "loud", "FAILED")
    put_vm(own_store.engine, "void", "")
    with refused(own_store) as [error]:
        assert error.jobs == [("job-loud", "FAILED"), ("job-void", "")]
        assert "job-void (no state)" in str(error)


def test_a_job_of_an_oma_without_any_state_is_named_too(engine: Engine) -> None:
    make_oma_tables(engine)
    runner.upgrade(engine)
    put_vm(engine, "void", status=None)  # type: ignore[arg-type]
    with refused(Store(engine, DEFAULT_POLICY)) as [error]:
        assert error.jobs == [("job-void", None)]
        assert "job-void (no state)" in str(error)


# --- at start ------------------------------------------------------------------------------------


def service(url: str) -> OmaFsm:
    return OmaFsm(Settings(database_url=url))


def adopted(url: str) -> OmaFsm:
    """A service on a database that lets jobs of unknown states in."""
    found = service(url)
    runner.upgrade(found.engine, adopted=True)
    return found


def test_a_start_keeps_the_specification(migrated_url: str) -> None:
    started = service(migrated_url)
    started.prepare()
    assert kept(started.engine, spec_hash()) == snapshot()
    started.close()


def test_a_start_on_an_empty_database_keeps_it_too(database_url: str) -> None:
    started = service(database_url)
    started.prepare()
    assert kept(started.engine, spec_hash()) == snapshot()
    started.close()


def test_a_start_refuses_unknown_states_and_changes_nothing(migrated_url: str) -> None:
    refusing = adopted(migrated_url)
    put_vm(refusing.engine, "odd", "paused")
    before = rows(refusing.engine, "replication_jobs")
    with pytest.raises(UnknownStatesError, match=r"job-odd \(paused\)"):
        refusing.prepare()
    assert rows(refusing.engine, "replication_jobs") == before
    assert rows(refusing.engine, "spec_versions", "hash") == []
    refusing.close()


def test_a_database_that_comes_back_with_unknown_states_is_waited_for_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = service(f"sqlite:///{tmp_path / 'jobs.db'}")
    away: Exception = OperationalError("SELECT 1", {}, Exception("away"))
    comes = [away, UnknownStatesError([("job-odd", "paused")], 1, []), RuntimeError("nobody thought of this")]

    async def begin() -> None:
        if comes:
            raise comes.pop(0)
        waiting.ready = True

    async def start() -> None:
        await waiting.start()
        assert waiting._waiting is not None
        await asyncio.wait_for(waiting._waiting, 10)

    monkeypatch.setattr(api.facade, "RETRY", 0)
    monkeypatch.setattr(waiting, "_begin", begin)
    with capture_logs() as logs:
        asyncio.run(start())
    assert waiting.ready
    refusals = [line for line in logs if line["event"] == "Database cannot be served"]
    assert "job-odd (paused)" in refusals[0]["why"]
    assert [(line["why"], line["exc_info"]) for line in refusals[1:]] == [("nobody thought of this", True)]
    waiting.engine.dispose()


def test_a_job_that_was_given_a_known_state_is_served_again(migrated_url: str) -> None:
    started = adopted(migrated_url)
    put_vm(started.engine, "odd", "paused")
    with pytest.raises(UnknownStatesError):
        started.store.require_known_states()
    with write(started.engine) as connection:
        connection.exec_driver_sql("UPDATE replication_jobs SET status = 'replicating'")
    started.prepare()
    assert [p.job_id for p in Store(started.engine, DEFAULT_POLICY).polled_jobs()] == ["job-odd"]
    started.close()
