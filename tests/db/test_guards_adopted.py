"""A database on which an old OMA goes on writing: only ends are held, and history."""

from collections.abc import Iterator

import pytest
from guard_rows import PLACES, VERSION, add_history, everywhere, job_at, move, tried
from rows import NOON
from sqlalchemy import Engine

from db import guards
from db.engine import write
from db.foreign import FOREIGN
from fsm.moves import Move, exact_moves
from fsm.spec import moves
from fsm.states import ACTIVE, ENDED, Ending, State

S = State
AT = "2026-11-01 14:00:00"
OLD_RELEASE = "UPDATE replication_jobs SET status = 'failed' WHERE status = 'replicating'"


@pytest.fixture(scope="module")
def strict(kind: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A job at every place of a database that is ours alone."""
    with everywhere(kind, template, tmp_path_factory.mktemp("strict")) as found:
        yield found


@pytest.fixture(scope="module")
def adopted(kind: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The same on a database that an OMA shares."""
    with everywhere(kind, template, tmp_path_factory.mktemp("adopted")) as found:
        with write(found) as connection:
            guards.install(connection, adopted=True)
        yield found


INSERT = (
    "INSERT INTO replication_jobs (id, vm_context_id, source_vm_id, source_vm_name, source_vm_path, v_center_host,"
    " datacenter, replication_type, created_at, updated_at{column}) VALUES ('job-old', 'replicating-None', 'x', 'x',"
    f" 'x', 'x', 'x', 'initial', '{NOON:%Y-%m-%d %H:%M:%S}', '{NOON:%Y-%m-%d %H:%M:%S}'{{value}})"
)
OLD_OMA = [
    OLD_RELEASE,
    INSERT.format(column="", value=""),
    *(INSERT.format(column=", status", value=f", '{status}'") for status in (*FOREIGN, *State, "some new status")),
    *(f"UPDATE replication_jobs SET status = '{status}' WHERE status = 'attaching'" for status in FOREIGN),
    "UPDATE replication_jobs SET status = 'analyzing', setup_progress_percent = 20 WHERE status = 'initializing'",
    "UPDATE replication_jobs SET status = 'completed' WHERE status = 'replicating'",
    "UPDATE replication_jobs SET progress_percent = 50, bytes_transferred = 7 WHERE status = 'replicating'",
    "UPDATE replication_jobs SET status = 'failed', error_message = 'again' WHERE status = 'failed'",
    "UPDATE replication_jobs SET completed_at = NULL",
    "DELETE FROM replication_jobs WHERE id = 'job-completed-confirmed'",
    "DELETE FROM vm_replication_contexts",
]


@pytest.mark.parametrize("statement", OLD_OMA)
def test_what_an_old_oma_writes_is_let_through(adopted: Engine, statement: str) -> None:
    assert tried(adopted, statement) is None


@pytest.mark.parametrize("statement", [OLD_RELEASE, INSERT.format(column="", value="")])
def test_the_same_is_refused_where_no_oma_writes(strict: Engine, statement: str) -> None:
    assert tried(strict, statement) is not None


@pytest.mark.parametrize("status", [*ACTIVE, *FOREIGN, "some new status", "failed/manual"])
@pytest.mark.parametrize("state", ENDED)
def test_an_end_that_was_only_inferred_gives_way_to_an_omas_word(adopted: Engine, state: State, status: str) -> None:
    """Its workflow knows better than our silence; what it wrote becomes an event. It cannot pass for a move of ours."""
    assert move(adopted, job_at(state, Ending.INFERRED), version=0, status=status) is None
    assert move(adopted, job_at(state, Ending.INFERRED), version=2, status=status, ending=None) is not None


@pytest.mark.parametrize("status", [*ACTIVE, *FOREIGN, "some new status", "failed/manual"])
@pytest.mark.parametrize(
    ("state", "ending"), [p for p in PLACES if p[0] in ENDED and p[1] is not Ending.INFERRED], ids=str
)
def test_an_end_is_held_against_an_old_oma(adopted: Engine, state: State, ending: Ending | None, status: str) -> None:
    """Such as `completed -> replicating`, with and without what would look like our own move."""
    assert move(adopted, job_at(state, ending), version=0, status=status) is not None
    assert move(adopted, job_at(state, ending), version=0, status=status, ending=None, completed_at=None) is not None
    assert move(adopted, job_at(state, ending), version=2, status=status, ending=None) is not None


@pytest.mark.parametrize(("state", "ending"), [p for p in PLACES if p[0] in ENDED and p[1]], ids=str)
def test_an_end_of_ours_is_left_only_by_moves_of_ours(adopted: Engine, state: State, ending: Ending) -> None:
    accepted = {
        Move(state, ending, target, after)
        for target, after in PLACES
        if move(adopted, job_at(state, ending), status=target, ending=after, completed_at=AT) is None
    }
    assert accepted == {m for m in exact_moves() if (m.source, m.source_ending) == (state, ending)}


@pytest.mark.parametrize("state", ENDED, ids=str)
def test_an_end_that_an_oma_wrote_may_be_taken_over_with_the_next_version(adopted: Engine, state: State) -> None:
    for target, ending in PLACES:
        accepted = move(adopted, job_at(state), status=target, ending=ending, completed_at=AT) is None
        assert accepted == ((state, target) in moves() and (ending is not None or target not in ENDED))


def test_history_is_only_added_to_there_too(adopted: Engine) -> None:
    job = job_at(S.REPLICATING)
    assert add_history(adopted, job, VERSION + 1, "replicating") is None, "the row may come before its job's version"
    row = (
        "INSERT INTO job_history"
        " (job_id, seq, event, to_state, edge, asked_by, verdicts, facts, policy_hash, spec_hash, at)"
        f" VALUES ('{job}', %s, 'e', 'failed', 'e', 'poll', '[]', '{{}}', 'p', 's', '{AT}')"
    )
    assert tried(adopted, row % 4, row % 5) is None
    for statement in (row % 6, "UPDATE job_history SET reason = 'x'", "DELETE FROM job_history"):
        assert tried(adopted, row % 4, statement) is not None, statement
