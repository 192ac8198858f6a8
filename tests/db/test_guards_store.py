"""What the store makes of a refusal by the database itself."""

import pytest
from guard_rows import tried
from rows import run
from store_builders import NOW, OPERATOR, SIZE, Vm
from unguarded import unguarded

import db.apply
from db.errors import GuardRefusedError
from fsm.states import Event


def without_a_row_of_history(vm: Vm) -> Vm:
    """What raw SQL can leave behind: the next move would make a gap."""
    with unguarded(vm.store.engine):
        run(vm.store.engine, f"UPDATE replication_jobs SET version = version + 1 WHERE id = '{vm.job_id}'")
    return vm


def test_a_refusal_of_the_database_is_told_once_and_in_plain_words(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    without_a_row_of_history(vm.replicate())
    before, tries = dict(vm.row), []
    row = db.apply.history_row
    monkeypatch.setattr(db.apply, "history_row", lambda decision: (tries.append(1), row(decision))[1])
    with pytest.raises(GuardRefusedError, match=r"nothing was written: .*(history|row).*docs/operations.md"):
        vm.fire(Event.FAIL, OPERATOR)
    assert (len(tries), dict(vm.row)) == (1, before)


def test_a_refusal_of_the_database_costs_no_other_job_its_answer(vm: Vm) -> None:
    without_a_row_of_history(vm.replicate())
    other = Vm(vm.store).replicate()
    answers = [v.answer("completed", done=SIZE) for v in (vm, other)]
    assert [a.decision.before.job_id for a in vm.store.answer(answers, NOW)] == [other.job_id]
    assert (vm.row["status"], other.row["status"]) == ("replicating", "completed")


def test_a_missing_row_of_history_can_be_added_under_the_guards(vm: Vm) -> None:
    without_a_row_of_history(vm.replicate())
    run(
        vm.store.engine,
        "INSERT INTO job_history (job_id, seq, event, from_state, to_state, edge, asked_by, actor, verdicts, facts,"
        " policy_hash, spec_hash, at) SELECT id, version, 'start', status, status, 'by hand', 'operator', 'anna', '[]',"
        f" '{{}}', '', '', updated_at FROM replication_jobs WHERE id = '{vm.job_id}'",
    )
    assert vm.fire(Event.FAIL, OPERATOR).decision.moved


def test_a_client_with_another_search_path_meets_the_same_guards(vm: Vm, kind: str) -> None:
    vm.complete()
    schema = {"sqlite": "main", "postgresql": "public", "mariadb": vm.store.engine.url.database}[kind]
    path = ["SET LOCAL search_path = pg_catalog"] if kind == "postgresql" else []
    delete_history = f"DELETE FROM {schema}.job_history WHERE job_id = :job"
    delete_job = f"DELETE FROM {schema}.replication_jobs WHERE id = :job"
    assert tried(vm.store.engine, *path, delete_history, job=vm.job_id) is not None
    assert tried(vm.store.engine, *path, delete_job, job=vm.job_id) is None
