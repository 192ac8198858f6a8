"""The schema, from nothing to head and back, with rows in it, on every database."""

from datetime import timedelta
from typing import Any

import pytest
from rows import NOON, OMA_TABLES, column_names, history, oma_columns, oma_rows, put_own_rows, put_vm, rows, run, tables
from sqlalchemy import Engine, inspect, select

from db import guards
from db.engine import read, write
from db.models import METADATA
from migrations import runner

BASELINE, RECOVERY, POLLING, *_ = runner.revisions()
RECOVERY_COLUMNS = {
    "recovery_attempted",
    "recovery_attempted_at",
    "recovery_method",
    "vma_validated_at",
    "polling_restarted_at",
}


def test_every_step_goes_up_down_and_up_again_and_keeps_the_rows_of_the_oma(engine: Engine) -> None:
    runner.upgrade(engine, BASELINE)
    put_vm(engine)
    run(engine, "UPDATE vm_replication_contexts SET current_job_id = 'job-pgtest1'")
    columns = oma_columns(engine)
    before = oma_rows(engine, columns)
    assert all(before.values())

    for revision in runner.revisions()[1:]:
        runner.upgrade(engine, revision)
        assert (runner.current(engine), oma_rows(engine, columns)) == (revision, before)
    put_own_rows(engine)
    for revision in reversed(runner.revisions()[:-1]):
        runner.downgrade(engine, revision)
        assert (runner.current(engine), oma_rows(engine, columns)) == (revision, before)
    assert oma_columns(engine) == columns

    runner.upgrade(engine)
    assert oma_rows(engine, columns) == before
    assert runner.drift(engine) == []
    runner.downgrade(engine, "base")
    assert tables(engine) == set()
    runner.upgrade(engine)
    assert tables(engine) == set(METADATA.tables)


def test_the_migrated_schema_is_that_of_the_models(migrated: Engine) -> None:
    assert tables(migrated) == set(METADATA.tables)
    assert runner.drift(migrated) == []


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE recovery_runs",
        "ALTER TABLE recovery_runs ADD COLUMN stray integer",
        "CREATE INDEX stray ON recovery_runs (started_at)",
    ],
)
def test_a_schema_that_differs_from_the_models_is_noticed(migrated: Engine, change: str) -> None:
    run(migrated, change)
    assert len(runner.drift(migrated)) == 1


def test_a_schema_made_from_the_models_alone_has_no_drift(engine: Engine) -> None:
    with write(engine) as connection:
        METADATA.create_all(connection)
        guards.install(connection)
    assert runner.drift(engine) == []


def test_tables_of_others_in_the_same_database_are_not_drift(migrated: Engine) -> None:
    run(migrated, "CREATE TABLE schedules (id integer PRIMARY KEY)")
    assert runner.drift(migrated) == []


def test_the_recovery_migration_adds_the_five_columns_and_their_index_and_nothing_else(engine: Engine) -> None:
    runner.upgrade(engine, BASELINE)
    put_vm(engine)
    before = column_names(engine, "replication_jobs")
    runner.upgrade(engine, RECOVERY)
    assert column_names(engine, "replication_jobs") - before == RECOVERY_COLUMNS
    assert rows(engine, "replication_jobs", "recovery_attempted", "recovery_method") == [
        {"recovery_attempted": False, "recovery_method": None}
    ]
    with read(engine) as connection:
        indexes = [index["column_names"] for index in inspect(connection).get_indexes("replication_jobs")]
    assert ["recovery_attempted", "status"] in indexes
    assert tables(engine) == set(OMA_TABLES)


def test_the_polling_migration_adds_the_table_that_was_asked_for(engine: Engine) -> None:
    runner.upgrade(engine, POLLING)
    assert tables(engine) == {*OMA_TABLES, "vma_polling_state"}
    assert column_names(engine, "vma_polling_state") == {
        "job_id",
        "started_polling_at",
        "last_poll_at",
        "consecutive_errors",
        "last_error_message",
        "is_active",
        "created_at",
        "updated_at",
    }


def test_jobs_that_were_there_entered_their_state_at_the_latest_time_their_row_tells(engine: Engine) -> None:
    runner.upgrade(engine, POLLING)
    started, completed = NOON + timedelta(hours=1), NOON + timedelta(hours=2)
    put_vm(engine, "created")
    put_vm(engine, "started", started_at=started)
    put_vm(engine, "ended", "completed", started_at=started, completed_at=completed)
    runner.upgrade(engine)
    jobs = METADATA.tables["replication_jobs"].c
    with read(engine) as connection:
        entered = dict(tuple(row) for row in connection.execute(select(jobs.vm_context_id, jobs.entered_at)))
    assert entered == {"created": NOON, "started": started, "ended": completed}


def test_a_job_that_an_older_oma_inserts_has_the_defaults_of_our_columns(migrated: Engine) -> None:
    put_vm(migrated)
    [job] = rows(migrated, "replication_jobs", "version", "watched", "appliance", "ending", "recovery_attempted")
    assert job == {"version": 1, "watched": False, "appliance": "default", "ending": None, "recovery_attempted": False}


def test_a_job_takes_its_rows_with_it_and_its_vm_forgets_it(migrated: Engine) -> None:
    put_vm(migrated)
    put_own_rows(migrated)
    run(
        migrated,
        "UPDATE vm_replication_contexts SET current_job_id = 'job-pgtest1', last_successful_job_id = 'job-pgtest1'",
    )
    run(migrated, "DELETE FROM replication_jobs WHERE id = 'job-pgtest1'")
    gone = ("vm_disks", "cbt_history", "vma_polling_state", "job_history", "vma_poll_history")
    assert [rows(migrated, table) for table in gone] == [[]] * len(gone)
    [context] = rows(migrated, "vm_replication_contexts", "current_job_id", "last_successful_job_id")
    assert context == {"current_job_id": None, "last_successful_job_id": None}


def test_a_vm_takes_everything_of_its_own_with_it_and_nothing_else(migrated: Engine) -> None:
    put_vm(migrated)
    put_vm(migrated, "pgtest2")
    put_own_rows(migrated)
    run(migrated, "UPDATE vm_replication_contexts SET current_job_id = 'job-pgtest1' WHERE context_id = 'pgtest1'")
    run(migrated, "DELETE FROM vm_replication_contexts WHERE context_id = 'pgtest1'")
    assert {len(rows(migrated, table)) for table in OMA_TABLES} == {1}
    assert rows(migrated, "job_history") == rows(migrated, "vma_polling_state") == []


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("job_history", history("job-pgtest1", 1)),
        ("vm_disks", {"vm_context_id": "pgtest1", "disk_id": "disk-2000"}),
        ("ossea_volumes", {"volume_id": "volume-pgtest1"}),
        ("vma_polling_state", {"job_id": "job-unknown", "created_at": NOON, "updated_at": NOON}),
    ],
)
def test_the_database_refuses_a_second_row_and_one_of_no_job(migrated: Engine, table: str, row: dict[str, Any]) -> None:
    put_vm(migrated)
    put_own_rows(migrated)
    with pytest.raises(Exception, match=r"(?i)unique|duplicate|foreign key|history"), write(migrated) as connection:
        connection.execute(METADATA.tables[table].insert().values(**row))
