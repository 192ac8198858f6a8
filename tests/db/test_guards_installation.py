"""The guards as a projection of the specification: put up, taken down, found changed, and put right again."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from guard_rows import move
from rows import make_oma_tables, put_vm, rows, run
from servers import SERVERS, empty, missing
from sqlalchemy import Engine, make_url
from store_builders import MIB, NOW, OPERATOR, Vm

import db.apply
import db.guards.rules
from api.facade import OmaFsm
from api.settings import Settings
from db import guards
from db.engine import make_engine, read, write
from db.errors import GuardInstallError, UnguardableError
from db.store import Store
from db.types import MARIADB
from fsm.policy import DEFAULT_POLICY
from fsm.states import Event, State
from migrations import runner
from migrations.errors import GuardMismatch

GUARDS = "20261124220000"  # the revision that knows how a database is guarded
BEFORE = runner.revisions()[runner.revisions().index(GUARDS) - 1]
JOB = "job-pgtest1"


def up(engine: Engine) -> set[str]:
    """What is there by a name of ours."""
    with read(engine) as connection:
        return {row.name for row in guards.installation._there(connection)}


def of_table(kind: str, name: str) -> str:
    table = "job_history" if "history" in name else "replication_jobs"
    return f"DROP TRIGGER {name}" + (f" ON {table}" if kind == "postgresql" else "")


EDITS = {
    "sqlite": "CREATE TRIGGER oma_fsm_history_delete BEFORE DELETE ON job_history BEGIN SELECT 1; END",
    "postgresql": (
        "CREATE OR REPLACE FUNCTION oma_fsm_history_delete() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RETURN OLD; END'"
    ),
    "mariadb": "CREATE TRIGGER oma_fsm_history_delete BEFORE DELETE ON job_history FOR EACH ROW BEGIN END",
}


# --- drift ---------------------------------------------------------------------------------------


def refused_until_upgraded(engine: Engine, url: str, *differences: str) -> None:
    """The change is drift, the service does not start, and the command that it names puts it right."""
    assert runner.drift(engine) == list(differences)
    service = OmaFsm(Settings(database_url=url))
    with pytest.raises(GuardMismatch, match=rf"{differences[0]}.*: run `oma-fsm db upgrade`"):
        service.prepare()
    runner.upgrade(engine)
    assert runner.drift(engine) == []
    service.prepare()
    service.close()


def test_a_dropped_trigger_is_noticed_and_put_up_again(migrated: Engine, migrated_url: str, kind: str) -> None:
    run(migrated, of_table(kind, "oma_fsm_job_update"))
    run(migrated, of_table(kind, "oma_fsm_history_insert"))
    refused_until_upgraded(migrated, migrated_url, "oma_fsm_history_insert is missing", "oma_fsm_job_update is missing")


def test_an_edited_trigger_is_noticed_and_made_anew(migrated: Engine, migrated_url: str, kind: str) -> None:
    if kind != "postgresql":
        run(migrated, of_table(kind, "oma_fsm_history_delete"))
    run(migrated, EDITS[kind])
    refused_until_upgraded(migrated, migrated_url, "oma_fsm_history_delete is not as this release makes it")


def test_a_trigger_of_another_release_is_noticed_and_taken_down(migrated: Engine, migrated_url: str, kind: str) -> None:
    if kind == "postgresql":
        run(migrated, "CREATE FUNCTION oma_fsm_old() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'")
    made = {
        "sqlite": EDITS["sqlite"],
        "postgresql": "CREATE TRIGGER oma_fsm_history_delete BEFORE DELETE ON job_history"
        " FOR EACH ROW EXECUTE FUNCTION oma_fsm_old()",
        "mariadb": EDITS["mariadb"],
    }
    run(migrated, made[kind].replace("oma_fsm_history_delete", "oma_fsm_old"))
    refused_until_upgraded(migrated, migrated_url, "oma_fsm_old is not wanted")


def test_a_trigger_that_is_switched_off_or_a_lost_check_is_noticed(
    migrated: Engine, migrated_url: str, kind: str
) -> None:
    lost = {
        "sqlite": ("DROP TRIGGER oma_fsm_job_insert", "oma_fsm_job_insert is missing"),
        "postgresql": (
            "ALTER TABLE replication_jobs DISABLE TRIGGER oma_fsm_job_insert",
            "oma_fsm_job_insert is not as this release makes it",
        ),
        "mariadb": (
            "ALTER TABLE replication_jobs DROP CONSTRAINT ck_replication_jobs_status",
            "ck_replication_jobs_status is missing",
        ),
    }
    run(migrated, lost[kind][0])
    refused_until_upgraded(migrated, migrated_url, lost[kind][1])


def test_the_guards_of_another_specification_are_noticed_and_made_anew(
    migrated: Engine, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = frozenset(m for m in db.guards.rules.exact_moves() if m.target is not State.CONFIGURING)
    monkeypatch.setattr(db.guards.rules, "exact_moves", lambda: fewer)
    refused_until_upgraded(migrated, migrated_url, "oma_fsm_job_update is not as this release makes it")
    put_vm(migrated, "a", "attaching")
    assert move(migrated, "job-a", status="configuring") is not None
    monkeypatch.undo()
    runner.upgrade(migrated)
    assert move(migrated, "job-a", status="configuring") is None


def test_the_triggers_of_others_are_left_alone(migrated: Engine, kind: str) -> None:
    if kind == "postgresql":
        run(migrated, "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    body = {
        "sqlite": "BEGIN SELECT 1; END",
        "postgresql": "FOR EACH ROW EXECUTE FUNCTION audit()",
        "mariadb": "FOR EACH ROW BEGIN END",
    }
    run(migrated, f"CREATE TRIGGER audit AFTER UPDATE ON replication_jobs {body[kind]}")
    assert runner.drift(migrated) == []
    runner.lift_guards(migrated)
    runner.upgrade(migrated)
    run(migrated, of_table(kind, "audit"))


# --- up and down ---------------------------------------------------------------------------------


def jobs_and_history(engine: Engine) -> list[list[dict[str, Any]]]:
    """All of both tables, but for what revisions after the guards' own add (and their downgrades drop)."""
    tables = [rows(engine, table) for table in ("replication_jobs", "job_history")]
    return [
        [{k: v for k, v in row.items() if k not in ("overwritten", "revision")} for row in table] for table in tables
    ]


def test_guards_go_with_the_schema_and_come_back_with_it(engine: Engine) -> None:
    runner.upgrade(engine)
    made = up(engine)
    vm = Vm(Store(engine, DEFAULT_POLICY)).complete()
    lost = Vm(vm.store).replicate().lose(MIB)
    before = jobs_and_history(engine)
    runner.downgrade(engine, BEFORE)
    assert up(engine) == set()
    assert jobs_and_history(engine) == before
    run(engine, "UPDATE replication_jobs SET progress_percent = 99, version = version")
    runner.upgrade(engine)
    assert (up(engine), runner.drift(engine)) == (made, [])
    assert lost.hear("running", done=MIB).decision.moved
    assert move(engine, vm.job_id, status="replicating", ending=None) is not None


@pytest.mark.parametrize("tables", ["ours", "an OMA's"])
def test_what_an_oma_left_behind_can_be_guarded_and_goes_on(engine: Engine, tables: str) -> None:
    """Ends without ending or time of end, and jobs under way; on MariaDB in columns that ignore case."""
    if tables != "ours":
        make_oma_tables(engine)
    runner.upgrade(engine, BEFORE)
    for state in State:
        put_vm(engine, state, state)
    runner.upgrade(engine)
    runner.require_current(engine)
    store = Store(engine, DEFAULT_POLICY)
    assert store.fire("job-replicating", Event.FAIL, NOW, asked=OPERATOR).decision.moved
    assert store.fire("job-initializing", Event.FAIL, NOW, asked=OPERATOR).decision.moved
    assert move(engine, "job-completed", version=0, progress_percent=100.0) is None
    assert [row["seq"] for row in rows(engine, "job_history", "seq")] == [2, 2]
    assert move(engine, "job-attaching", status="configuring") is None
    assert move(engine, "job-attaching", status="Configuring") is not None
    assert move(engine, "job-attaching", version=0, status="Attaching") is not None
    run(engine, "DELETE FROM replication_jobs")
    assert rows(engine, "job_history") == []


def test_jobs_in_unknown_states_stop_the_upgrade_before_anything_changes(engine: Engine) -> None:
    runner.upgrade(engine, BEFORE)
    put_vm(engine, "a", "pending")
    put_vm(engine, "b", "dancing")
    with pytest.raises(UnguardableError, match=r"2 jobs .*job-a \(pending\), job-b \(dancing\)") as refused:
        runner.upgrade(engine)
    assert "`oma-fsm db adopt`" in str(refused.value)
    assert runner.current(engine) == BEFORE
    run(engine, "UPDATE replication_jobs SET status = 'initializing'")
    runner.upgrade(engine)
    runner.require_current(engine)


def test_an_adopted_database_takes_them_and_stays_adopted(engine: Engine) -> None:
    runner.upgrade(engine, BEFORE)
    put_vm(engine, "a", "pending")
    runner.upgrade(engine, adopted=True)
    assert runner.guard_state(engine) == (guards.Mode.ADOPTED, [])
    runner.lift_guards(engine)
    runner.upgrade(engine)
    assert runner.guard_state(engine) == (guards.Mode.ADOPTED, [])
    with pytest.raises(UnguardableError):
        runner.upgrade(engine, adopted=False)
    with pytest.raises(UnguardableError), write(engine) as connection:
        guards.install(connection, adopted=False)
    assert runner.guard_state(engine) == (guards.Mode.ADOPTED, [])
    run(engine, "DELETE FROM replication_jobs")
    runner.upgrade(engine, adopted=False)
    assert runner.guard_state(engine) == (guards.Mode.STRICT, [])


def test_guards_that_are_as_they_should_be_are_not_made_again(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that makes a trigger waits for every writer."""
    monkeypatch.setattr(guards.installation, "_run", lambda *_: pytest.fail("made again"))
    runner.upgrade(migrated)


def test_lifted_guards_let_an_emergency_change_through(migrated: Engine) -> None:
    put_vm(migrated)
    change = "UPDATE replication_jobs SET status = 'ready_for_sync'"
    assert runner.lift_guards(migrated)
    run(migrated, change)
    assert not runner.lift_guards(migrated)
    runner.upgrade(migrated)
    assert move(migrated, JOB, status="attaching", version=0) is not None


def test_the_dropping_statements_drop_what_the_making_ones_make(migrated: Engine, kind: str) -> None:
    with write(migrated) as connection:
        for guard in guards.guards_of(kind, guards.Mode.STRICT):
            for statement in guard.drop:
                connection.exec_driver_sql(statement)
    assert up(migrated) == set()


# --- without the right to ------------------------------------------------------------------------


@pytest.fixture
def weak_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database of MariaDB, as a user who may do everything in it but make triggers."""
    user = f"oma_{uuid.uuid4().hex[:8]}"
    with empty("mariadb", tmp_path_factory.mktemp("weak")) as url:
        root = make_engine(url)
        run(root, f"CREATE USER '{user}' IDENTIFIED BY 'secret'")
        run(root, f"GRANT ALL ON {root.url.database}.* TO '{user}'")
        run(root, f"REVOKE TRIGGER ON {root.url.database}.* FROM '{user}'")
        weak = make_url(url).set(username=user, password="secret")
        yield weak.render_as_string(hide_password=False)
        run(root, f"DROP USER '{user}'")
        root.dispose()


@pytest.mark.skipif("mariadb" in missing(), reason=f"no MariaDB at {SERVERS['mariadb']}")
def test_a_user_who_may_not_make_triggers_is_told_what_is_missing(weak_user: str) -> None:
    engine = make_engine(weak_user)
    with pytest.raises(GuardInstallError, match=r"TRIGGER command denied(?s:.*)GRANT TRIGGER") as refused:
        runner.upgrade(engine)
    assert "secret" not in str(refused.value)
    engine.dispose()


def test_mariadb_is_known_by_both_of_its_names() -> None:
    assert {guards.guards_of(name, guards.Mode.STRICT) for name in MARIADB} == {
        guards.guards_of("mariadb", guards.Mode.STRICT)
    }
