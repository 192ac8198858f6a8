"""Databases as they are found: an OMA's own, older, newer, half migrated, in the hands of another process."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from alembic.script import ScriptDirectory
from rows import OMA_TABLES, make_oma_tables, oma_columns, oma_rows, put_own_rows, put_vm, rows, run, tables
from servers import shown
from sqlalchemy import Engine, column, table, text, update

from db.engine import make_engine, read, write
from migrations import runner
from migrations.comparison import VERSION_TABLE
from migrations.errors import AdoptedError, MigrationBusyError, NotAnOmaError, SchemaMismatch, UnknownRevisionError
from migrations.turn import alone

BASELINE, RECOVERY, POLLING, MACHINE, *_, HEAD = runner.revisions()
MIGRATE = """
import sys
from db.engine import make_engine
from migrations import runner
runner.upgrade(make_engine(sys.argv[1]))
"""


def test_the_database_of_an_oma_is_taken_over_with_its_rows(engine: Engine) -> None:
    make_oma_tables(engine)
    put_vm(engine)
    columns = oma_columns(engine)
    before = oma_rows(engine, columns)
    runner.upgrade(engine)
    runner.require_current(engine)
    assert oma_rows(engine, columns) == before
    put_own_rows(engine)
    run(engine, "DELETE FROM replication_jobs")
    assert rows(engine, "vma_polling_state") == rows(engine, "job_history") == rows(engine, "vma_poll_history") == []


def test_the_tables_of_an_oma_are_never_dropped(engine: Engine) -> None:
    make_oma_tables(engine)
    put_vm(engine)
    runner.upgrade(engine)
    runner.downgrade(engine, BASELINE)
    with pytest.raises(AdoptedError, match="stay"):
        runner.downgrade(engine, "base")
    assert len(rows(engine, "replication_jobs")) == len(rows(engine, "vm_disks")) == 1
    assert tables(engine) == set(OMA_TABLES)


def test_a_table_that_only_has_the_name_of_the_omas_is_left_alone(engine: Engine) -> None:
    run(engine, "CREATE TABLE vm_disks (id integer PRIMARY KEY, job_id varchar(191))")
    with pytest.raises(NotAnOmaError, match=r"vm_disks is there already, without .*disk_id.*check the database URL"):
        runner.upgrade(engine)
    assert tables(engine) == {"vm_disks"}


def test_a_migration_that_was_killed_half_way_is_finished_by_the_next_run(engine: Engine) -> None:
    runner.upgrade(engine, POLLING)
    put_vm(engine)
    run(engine, "ALTER TABLE replication_jobs ADD COLUMN version integer NOT NULL DEFAULT 1")
    run(engine, "ALTER TABLE vma_polling_state ADD COLUMN last_verdict varchar(32)")
    runner.upgrade(engine)
    assert runner.drift(engine) == []


def test_a_database_without_schema_is_at_none_and_says_what_to_run(engine: Engine) -> None:
    assert runner.current(engine) is None
    with pytest.raises(
        SchemaMismatch, match=rf"is at schema none, this release wants {HEAD}: run `oma-fsm db upgrade`"
    ):
        runner.require_current(engine)


def test_an_older_database_says_what_to_run(engine: Engine) -> None:
    runner.upgrade(engine, RECOVERY)
    with pytest.raises(SchemaMismatch, match=rf"{RECOVERY}.* wants {HEAD}.*oma-fsm db upgrade") as mismatch:
        runner.require_current(engine)
    assert (mismatch.value.found, mismatch.value.wanted) == (RECOVERY, HEAD)


@pytest.mark.parametrize(
    ("revision", "advice"),
    [("20991231000000", "install the newer release"), ("20251003150001", "install the release that made it")],
)
def test_a_database_of_another_release_asks_for_that_and_is_left_alone(
    migrated: Engine, revision: str, advice: str
) -> None:
    version = table(VERSION_TABLE, column("version_num"))
    with write(migrated) as connection:
        connection.execute(update(version).values(version_num=revision))
    for refused in (
        lambda: runner.require_current(migrated),
        lambda: runner.upgrade(migrated),
        lambda: runner.downgrade(migrated, "base"),
    ):
        with pytest.raises(SchemaMismatch, match=rf"{revision}.*{advice}"):
            refused()
    assert runner.current(migrated) == revision


def test_a_current_database_passes_and_a_second_upgrade_changes_nothing(migrated: Engine) -> None:
    put_vm(migrated)
    before = rows(migrated, "replication_jobs")
    runner.upgrade(migrated)
    runner.require_current(migrated)
    assert rows(migrated, "replication_jobs") == before


def test_the_head_read_from_the_file_names_is_alembics(migrated: Engine) -> None:
    with read(migrated) as connection:
        script = ScriptDirectory.from_config(runner._config(connection))
    assert script.get_heads() == [runner.head()]
    assert tuple(version.revision for version in script.walk_revisions())[::-1] == runner.revisions()


def test_a_second_process_waits_its_turn_and_gives_up_with_a_clear_text(engine: Engine, database_url: str) -> None:
    other = make_engine(database_url)
    busy = pytest.raises(MigrationBusyError, match="another process has been migrating it for 1 s")
    with alone(engine), busy, alone(other, patience=1):
        pytest.fail("two at once")
    with alone(other, patience=1) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    other.dispose()


@pytest.mark.process
def test_processes_that_migrate_at_the_same_time_both_succeed(engine: Engine) -> None:
    command = [sys.executable, "-c", MIGRATE, shown(engine.url)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(process.communicate()[1], process.returncode) for process in both] == [("", 0)] * 2
    runner.require_current(engine)
    assert runner.drift(engine) == []


def test_the_draft_of_a_version_is_made_by_alembic_from_our_template(
    migrated: Engine, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path_factory.mktemp("migrations")
    for name in ("env.py", "script.py.mako"):
        (copied / name).write_text((runner._here() / name).read_text())
    (copied / "versions").mkdir()
    for version in (runner._here() / "versions").glob("*.py"):
        (copied / "versions" / version.name).write_text(version.read_text())
    monkeypatch.setattr(runner, "_here", lambda: copied)
    run(migrated, "CREATE INDEX stray ON recovery_runs (started_at)")
    runner.draft(migrated, "drop the stray")
    [drafted] = set((copied / "versions").glob("*_drop_the_stray.py"))
    text = drafted.read_text()
    assert "op.drop_index(" in text
    compile(text, drafted.name, "exec")


@pytest.mark.parametrize("move", [runner.upgrade, runner.downgrade])
def test_an_unknown_revision_is_refused_with_the_known_ones(
    migrated: Engine, move: Callable[[Engine, str], None]
) -> None:
    with pytest.raises(
        UnknownRevisionError, match=rf"no schema revision 'last-week'; known are base, {BASELINE}.*, head"
    ):
        move(migrated, "last-week")
    runner.require_current(migrated)
