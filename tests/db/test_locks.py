"""A transaction that somebody leaves open on a job: only that job waits for it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from oma_world import only
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from store_builders import OPERATOR, SIZE, Vm
from structlog.testing import capture_logs

import db.engine
from db.engine import make_engine
from db.store import Store
from db.tables import JOBS
from fsm.states import Event

# SQLite knows no locks of rows: whoever writes has the whole file.
pytestmark = only("postgresql", "mariadb")


@contextmanager
def held(store: Store, job_id: str) -> Iterator[None]:
    """Somebody's terminal: a transaction that locked the job's row and does not end."""
    with store.engine.connect() as terminal, terminal.begin() as transaction:
        terminal.execute(select(JOBS.c.id).where(JOBS.c.id == job_id).with_for_update())
        yield
        transaction.rollback()


def without_waiting(work: Any, *args: Any, **more: Any) -> Any:
    thread = ThreadPoolExecutor(1)
    try:
        return thread.submit(work, *args, **more).result(timeout=10)
    finally:
        thread.shutdown(wait=False)


def test_answers_about_other_jobs_are_applied_and_the_held_one_s_is_left(store: Store) -> None:
    stuck, free = Vm(store).replicate(), Vm(store).replicate()
    answers = [vm.answer("running", done=SIZE // 2) for vm in (stuck, free)]
    with capture_logs() as logs, held(store, stuck.job_id):
        applied = without_waiting(store.answer, answers, free.now)
        assert [a.decision.before.job_id for a in applied] == [free.job_id]
        assert without_waiting(store.answer, answers[:1], free.now) == []
    assert [line["jobs"] for line in logs if line["log_level"] == "warning"] == [[stuck.job_id]], "the second time"
    assert store.facts(stuck.job_id).percent == 0
    assert [a.decision.after.percent for a in store.answer(answers[:1], stuck.now)] == [50]


def test_polling_of_other_jobs_is_switched_on(store: Store) -> None:
    stuck, free = Vm(store).replicate(), Vm(store).replicate()
    with held(store, stuck.job_id):
        assert without_waiting(store.start_polling, {stuck.job_id, free.job_id, "unknown"}, free.now) == {free.job_id}
    assert store.start_polling({stuck.job_id}, free.now) == {stuck.job_id}


def test_a_job_that_is_gone_is_not_said_to_be_held(store: Store) -> None:
    with capture_logs() as logs:
        for _ in range(2):
            assert store.start_polling({"unknown"}, Vm(store).now) == set()
    assert logs == []


def test_rows_that_were_held_for_a_moment_now_and_then_are_not_worth_a_word(store: Store) -> None:
    vm = Vm(store).replicate()
    with capture_logs() as logs:
        for _ in range(2):
            with held(store, vm.job_id):
                assert without_waiting(store.answer, [vm.answer("running")], vm.now) == []
            vm.hear("running")
    assert [line for line in logs if line["log_level"] == "warning"] == []


def test_an_event_on_a_job_that_stays_held_is_given_up_and_says_why(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm = Vm(store).replicate()
    monkeypatch.setattr(db.engine, "HELD_TIMEOUT", 1)
    engine = make_engine(store.engine.url.render_as_string(hide_password=False))
    with held(store, vm.job_id), pytest.raises(OperationalError, match=r"(?i)lock (wait )?timeout"):
        without_waiting(Store(engine, store.policy).fire, vm.job_id, Event.FAIL, vm.now, asked=OPERATOR)
    engine.dispose()
    assert store.facts(vm.job_id).active
