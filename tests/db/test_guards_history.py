"""History that raw SQL tries to rewrite, to shorten and to make up."""

from collections.abc import Iterator

import pytest
from guard_rows import HISTORY_ROW, VERSION, add_history, everywhere, job_at, tried
from sqlalchemy import Engine

from fsm.states import State

AT = "2026-11-01 14:00:00"
REPLICATING = job_at(State.REPLICATING)


@pytest.fixture(scope="module")
def engine(kind: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A job at every place; nothing that a test tries is kept."""
    with everywhere(kind, template, tmp_path_factory.mktemp("guards")) as found:
        yield found


def with_history(engine: Engine, *statements: str) -> str | None:
    """What a guard says of statements after the job `replicating` has a row of history."""
    values = {"job": REPLICATING, "seq": VERSION, "state": "replicating", "ending": None}
    return tried(engine, HISTORY_ROW, *statements, **values)


def test_a_history_may_begin_at_any_version_which_is_that_of_its_job(engine: Engine) -> None:
    """Jobs of an OMA have none from before us."""
    assert add_history(engine, REPLICATING, VERSION, "replicating") is None
    for seq in (1, VERSION - 1, VERSION + 1):
        assert add_history(engine, REPLICATING, seq, "replicating") is not None


@pytest.mark.parametrize(("state", "ending"), [("failed", None), ("replicating", "confirmed"), ("Replicating", None)])
def test_history_does_not_say_what_its_job_does_not_say(engine: Engine, state: str, ending: str | None) -> None:
    assert add_history(engine, REPLICATING, VERSION, state, ending) is not None


FAILED = (
    "UPDATE replication_jobs SET status = 'failed', ending = 'confirmed', version = version + 1,"
    f" completed_at = '{AT}' WHERE id = :job"
)
NEXT = HISTORY_ROW.replace(":seq", ":seq + 1").replace(":state", "'failed'").replace(":ending", "'confirmed'")


def test_history_goes_on_with_its_job(engine: Engine) -> None:
    assert with_history(engine, FAILED, NEXT) is None
    assert with_history(engine, NEXT) is not None, "the job has not moved"


def test_history_has_no_gaps(engine: Engine) -> None:
    reopened = (
        FAILED.replace("confirmed", "manual"),
        "UPDATE replication_jobs SET status = 'replicating', ending = NULL, version = version + 1 WHERE id = :job",
    )
    again = HISTORY_ROW.replace(":seq", ":seq + 2")
    assert with_history(engine, reopened[0], NEXT.replace("confirmed", "manual"), reopened[1], again) is None
    assert with_history(engine, *reopened, again) is not None


@pytest.mark.parametrize("column", ["reason = 'another'", "seq = seq + 1", "job_id = job_id", "facts = '[]'"])
def test_history_is_not_changed(engine: Engine, column: str) -> None:
    assert with_history(engine, f"UPDATE job_history SET {column} WHERE job_id = :job") is not None


def test_history_is_not_deleted(engine: Engine) -> None:
    assert with_history(engine, "DELETE FROM job_history WHERE job_id = :job") is not None
    assert with_history(engine, "DELETE FROM job_history") is not None


REPLACE = {
    "sqlite": [
        "INSERT OR REPLACE INTO job_history SELECT * FROM job_history WHERE job_id = :job",
        FAILED + ";" + NEXT.replace("INSERT", "REPLACE").replace("(job_id", "(id, job_id").replace(
            "(:job", "((SELECT max(id) FROM job_history), :job"
        ),
        "UPDATE OR IGNORE job_history SET reason = 'another'",
        "UPDATE OR REPLACE job_history SET reason = 'another'",
    ],
    "postgresql": [
        "TRUNCATE job_history",
        "TRUNCATE replication_jobs CASCADE",
        HISTORY_ROW + " ON CONFLICT (job_id, seq) DO UPDATE SET reason = 'another'",
    ],
    "mariadb": [
        HISTORY_ROW.replace("INSERT", "REPLACE"),
        HISTORY_ROW + " ON DUPLICATE KEY UPDATE reason = 'another'",
        "UPDATE IGNORE job_history SET reason = 'another'",
        "DELETE IGNORE FROM job_history",
    ],
}  # fmt: skip


def test_no_statement_of_this_database_gets_round_it(engine: Engine, kind: str) -> None:
    for statement in REPLACE[kind]:
        assert with_history(engine, *statement.split(";")) is not None, statement


@pytest.mark.parametrize(
    "deleted",
    [
        "DELETE FROM replication_jobs WHERE id = :job",
        "DELETE FROM vm_replication_contexts WHERE context_id = 'replicating-None'",
        "DELETE FROM vm_replication_contexts",
    ],
)
def test_history_goes_with_its_whole_job_and_with_its_whole_vm(engine: Engine, deleted: str) -> None:
    assert with_history(engine, FAILED, NEXT, deleted) is None
