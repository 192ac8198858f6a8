"""What the database refuses by itself: raw SQL tries every move, every version, and to rewrite history."""

from collections.abc import Iterator

import pytest
from guard_rows import ENDINGS, PLACES, everywhere, job_at, move, tried
from oma_world import only
from rows import put_vm, rows, run
from sqlalchemy import Engine

from fsm.moves import Move, exact_moves
from fsm.spec import moves
from fsm.states import ACTIVE, ENDED, Ending, State

S = State
AT = "2026-11-01 14:00:00"
REPLICATING = job_at(S.REPLICATING)


@pytest.fixture(scope="module")
def engine(kind: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A job at every place; nothing that a test tries is kept."""
    with everywhere(kind, template, tmp_path_factory.mktemp("guards")) as found:
        yield found


def endings(state: State) -> tuple[Ending | None, ...]:
    return ENDINGS if state in ENDED else (None, Ending.CONFIRMED)  # an active job has none; it is tried with one


# --- moves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", State, ids=str)
@pytest.mark.parametrize("source", State, ids=str)
def test_a_job_may_go_exactly_where_the_specification_lets_it_go(engine: Engine, source: State, target: State) -> None:
    accepted = {
        Move(source, before, target, after)
        for before in (ENDINGS if source in ENDED else (None,))
        for after in endings(target)
        if move(engine, job_at(source, before), status=target, ending=after, completed_at=AT) is None
    }
    assert accepted == {m for m in exact_moves() if (m.source, m.target) == (source, target)}
    assert bool(accepted) == ((source, target) in moves())


@pytest.mark.parametrize("ending", [Ending.CONFIRMED, None], ids=str)
@pytest.mark.parametrize("state", ENDED, ids=str)
def test_nothing_leaves_a_confirmed_end_or_an_end_from_before_us(
    engine: Engine, state: State, ending: Ending | None
) -> None:
    for target, after in PLACES:
        assert move(engine, job_at(state, ending), status=target, ending=after, completed_at=AT) is not None


@pytest.mark.parametrize("status", ["dancing", "Replicating", "completed/confirmed", "", "failed "])
@pytest.mark.parametrize("version", [0, 1])
def test_a_status_that_the_machine_does_not_know_is_refused(engine: Engine, status: str, version: int) -> None:
    assert move(engine, REPLICATING, status=status, version=version, completed_at=AT) is not None


@pytest.mark.parametrize("version", [-1, 0, 2])
def test_a_move_raises_the_version_by_one_and_by_no_other_number(engine: Engine, version: int) -> None:
    change = {"status": S.COMPLETED, "ending": Ending.CONFIRMED, "completed_at": AT}
    assert move(engine, REPLICATING, **change) is None
    assert move(engine, REPLICATING, version=version, **change) is not None


@pytest.mark.parametrize("version", [-1, 1, 2])
def test_a_version_does_not_change_without_a_move(engine: Engine, version: int) -> None:
    assert move(engine, REPLICATING, version=version) is not None


@pytest.mark.parametrize("ending", Ending, ids=str)
def test_an_ending_does_not_change_without_a_new_version(engine: Engine, ending: Ending) -> None:
    assert move(engine, job_at(S.FAILED, Ending.INFERRED), version=0, ending=None) is not None
    changed = move(engine, job_at(S.FAILED, Ending.INFERRED), version=0, ending=ending)
    assert (changed is None) == (ending is Ending.INFERRED)


@pytest.mark.parametrize("state", ENDED, ids=str)
def test_an_end_has_its_time_and_keeps_one(engine: Engine, state: State) -> None:
    end = {"status": state, "ending": Ending.CONFIRMED}
    assert move(engine, REPLICATING, **end, completed_at=AT) is None
    assert move(engine, REPLICATING, **end, completed_at=None) is not None
    assert move(engine, job_at(state, Ending.INFERRED), version=0, completed_at=None) is not None


@pytest.mark.parametrize(("state", "ending"), PLACES, ids=str)
def test_what_is_no_move_may_be_written_wherever_a_job_stands(
    engine: Engine, state: State, ending: Ending | None
) -> None:
    """Progress, and an OMA's old ends without ending or time."""
    same = {"status": state, "ending": ending, "progress_percent": 50.0, "error_message": "as before"}
    assert move(engine, job_at(state, ending), version=0, **same) is None
    assert move(engine, job_at(state, ending), version=0, progress_percent=50.0) is None


# --- births --------------------------------------------------------------------------------------

BORN = {"status": "'initializing'", "version": "1", "ending": "NULL", "completed_at": "NULL"}
REST = ("source_vm_id", "source_vm_name", "source_vm_path", "v_center_host", "datacenter", "replication_type")


def birth(**changed: str) -> str:
    """An INSERT of a job of a VM that is there; values in SQL."""
    values = BORN | {"id": "'job-born'", "vm_context_id": "'replicating-None'"} | dict.fromkeys(REST, "'x'")
    values |= {"created_at": f"'{AT}'", "updated_at": f"'{AT}'"} | changed
    return f"INSERT INTO replication_jobs ({', '.join(values)}) VALUES ({', '.join(values.values())})"


def test_a_job_is_born_at_the_beginning(engine: Engine) -> None:
    assert tried(engine, birth()) is None


@pytest.mark.parametrize(
    "changed",
    [
        *({"status": f"'{state}'"} for state in State if state is not S.INITIALIZING),
        *({"status": f"'{status}'"} for status in ("pending", "Initializing", "")),
        *({"version": version} for version in ("0", "2", "-1")),
        {"ending": "'confirmed'"},
        {"completed_at": f"'{AT}'"},
        {"status": "'failed'", "ending": "'manual'", "completed_at": f"'{AT}'"},
    ],
    ids=str,
)
def test_a_job_is_not_born_anywhere_else(engine: Engine, changed: dict[str, str]) -> None:
    assert tried(engine, birth(**changed)) is not None


def test_the_columns_defaults_are_no_way_in(engine: Engine) -> None:
    """An old OMA's INSERT names no status, and would be `pending`."""
    assert tried(engine, birth().replace("status, version, ", "").replace("'initializing', 1, ", "")) is not None


# --- what is said --------------------------------------------------------------------------------


def test_a_refusal_names_job_from_to_and_what_to_do(engine: Engine, kind: str) -> None:
    said = move(engine, job_at(S.COMPLETED, Ending.CONFIRMED), status=S.REPLICATING, ending=None)
    assert said is not None
    if kind == "sqlite":  # whose refusals are constant
        assert said == "a job may not leave this end; fire an event of the API instead"
    else:
        assert said.startswith("job job-completed-confirmed may not go completed/confirmed -> replicating")
    if kind == "mariadb":
        assert said.endswith("; fire an event instead")


def test_a_refusal_names_where_the_job_may_go_or_where_it_wanted_to(engine: Engine, kind: str) -> None:
    said = move(engine, job_at(S.ATTACHING), status=S.INITIALIZING)
    assert said is not None
    if kind == "sqlite":
        assert said.startswith("a job that is attaching may only become completed/confirmed, completed/manual, conf")
    else:
        assert said.startswith("job job-attaching-None may not go attaching -> initializing")


@only("mariadb")
def test_the_longest_refusal_of_mariadb_fits_its_128_characters(engine: Engine) -> None:
    long = "job-20261124-123456.789-abcdef-" + "x" * 100
    renamed = f"UPDATE replication_jobs SET id = '{long}' WHERE id = 'job-completed-confirmed'"
    again = f"UPDATE replication_jobs SET version = version + 1 WHERE id = '{long}'"
    said = tried(engine, "SET foreign_key_checks = 0", renamed, again)
    assert said == f"job {long[:38]} may not go completed/confirmed -> completed/confirmed; fire an event instead"


def test_the_named_check_holds_without_the_triggers(migrated: Engine, kind: str) -> None:
    if kind == "sqlite":  # where no constraint can be added to a table that is there
        put_vm(migrated)
        said = move(migrated, "job-pgtest1", status="dancing")
        assert said is not None
        assert said.startswith("ck_replication_jobs_status: no such status; known are initializing, attaching")
        return
    for name in ("insert", "update"):
        table = " ON replication_jobs" if kind == "postgresql" else ""
        run(migrated, f"DROP TRIGGER oma_fsm_job_{name}{table}")
    said = tried(migrated, CONTEXT, birth(status="'dancing'"))
    assert said is not None
    assert "ck_replication_jobs_status" in said
    for state in ACTIVE:
        assert tried(migrated, CONTEXT, birth(status=f"'{state}'")) is None


CONTEXT = (
    "INSERT INTO vm_replication_contexts (context_id, vm_name, vmware_vm_id, vcenter_host)"
    " VALUES ('replicating-None', 'vm', 'vm-1', 'vcenter')"
)


def test_nothing_that_was_tried_is_there(engine: Engine) -> None:
    """Else the tests above would have seen each other's work."""
    found = {row["id"]: row["status"] for row in rows(engine, "replication_jobs", "id", "status")}
    assert found == {job_at(state, ending): state for state, ending in PLACES}
    assert rows(engine, "job_history") == []
