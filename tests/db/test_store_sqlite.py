"""What only a file can do to the store: another program's lock, a full disk, a file that must not be written."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer
from time import monotonic

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError
from store_builders import MIB, NOW, OPERATOR, SIZE, Vm, everything

import db.engine
from db import views
from db.engine import BUSY_TIMEOUT, make_engine, read
from db.store import Store
from fsm.policy import DEFAULT_POLICY
from fsm.states import Event
from migrations import runner

HELD = 2.0  # seconds


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema that this code wants."""
    path = tmp_path_factory.mktemp("file") / "jobs.db"
    engine = make_engine(f"sqlite:///{path}")
    runner.upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture
def sqlite(file: Path) -> Iterator[Engine]:
    """An engine of its own on the file."""
    engine = make_engine(f"sqlite:///{file}")
    yield engine
    engine.dispose()


@pytest.fixture
def vm(sqlite: Engine) -> Vm:
    """A VM in the file, replicating."""
    return Vm(Store(sqlite, DEFAULT_POLICY)).replicate()


def locked(file: Path) -> sqlite3.Connection:
    """Another program in the middle of a write."""
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    return other


def test_a_writer_waits_while_another_program_holds_the_file(vm: Vm, file: Path) -> None:
    other, answer = locked(file), vm.answer("completed", done=SIZE)
    release = Timer(HELD, other.close)  # rolls back
    began = monotonic()
    release.start()
    assert vm.store.answer([answer], vm.now)[0].decision.moved
    assert monotonic() - began >= HELD * 0.9
    release.join()


def test_readers_do_not_wait_for_a_writer(vm: Vm, file: Path) -> None:
    other = locked(file)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(vm.store.facts, vm.job_id).result(BUSY_TIMEOUT / 2).state == "replicating"
    other.close()


def test_a_file_that_stays_locked_is_an_error_and_nothing_changes(
    vm: Vm, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db.engine, "BUSY_TIMEOUT", 0.05)
    monkeypatch.setattr("db.transactions.PAUSE", 0.001)
    impatient = Store(make_engine(f"sqlite:///{file}"), DEFAULT_POLICY)
    before = everything(vm.store)
    other, answer = locked(file), vm.answer("completed", done=SIZE)
    with pytest.raises(OperationalError, match="database is locked"):
        impatient.answer([answer], NOW)
    other.close()
    impatient.engine.dispose()
    assert everything(vm.store) == before


def test_a_full_disk_is_an_error_and_nothing_changes(vm: Vm, file: Path) -> None:
    before = everything(vm.store)
    full = make_engine(f"sqlite:///{file}")

    @event.listens_for(full, "connect")
    def no_more_pages(connection: sqlite3.Connection, _: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    store = Store(full, DEFAULT_POLICY)
    long = {"error": "x" * 15_000, "operation": "y" * 60_000}
    with pytest.raises(OperationalError, match="database or disk is full"):
        store.answer([vm.answer("failed", done=MIB, **long)], NOW)
    with pytest.raises(OperationalError, match="database or disk is full"):
        Vm(store).create(disks=2000)
    full.dispose()
    assert everything(vm.store) == before
    assert vm.hear("failed", done=MIB, **long).decision.moved


def test_a_file_that_must_not_be_written_is_an_error_and_nothing_changes(vm: Vm, file: Path) -> None:
    before = everything(vm.store)
    store = Store(make_engine(f"sqlite:///{file}", read_only=True), DEFAULT_POLICY)
    with pytest.raises(OperationalError, match="readonly database"):
        store.fire(vm.job_id, Event.COMPLETE, NOW, asked=OPERATOR)
    with pytest.raises(OperationalError, match="readonly database"):
        Vm(store).create()
    assert store.facts(vm.job_id) == vm.facts
    store.engine.dispose()
    assert everything(vm.store) == before


def test_counting_inferences_reads_an_index_and_not_all_history(sqlite: Engine) -> None:
    counting = str(views._INFERENCES.compile(sqlite, compile_kwargs={"literal_binds": True}))
    with read(sqlite) as connection:
        steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {counting}")]
    reads = [step for step in steps if "job_history" in step]
    assert len(reads) == 2
    assert all("INDEX" in step and step.startswith("SEARCH") for step in reads), steps
