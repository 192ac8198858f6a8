"""Several writers at once: compare-and-swap, locks, and what is tried again."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Barrier
from threading import Event as Flag
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, update
from sqlalchemy.exc import IntegrityError, OperationalError
from store_builders import MIB, OPERATOR, SIZE, WORKFLOW, Vm, raised_by, rows
from unguarded import unguarded

import db.store
from db import contexts, jobs
from db.apply import apply
from db.engine import write
from db.errors import LostRaceError
from db.store import Answer, Store
from db.tables import CONTEXTS, HISTORY, JOBS
from fsm.decision import Decision, Outcome
from fsm.facts import Asked
from fsm.machine import decide_on
from fsm.states import Asker, Event, Verdict


@contextmanager
def first_attempts_fail(monkeypatch: pytest.MonkeyPatch, error: Exception, failures: int) -> Iterator[list[int]]:
    """Let the last step of applying fail so many times; counts the tries."""
    tries: list[int] = []
    follow = db.apply.polling.follow

    def failing(*args: Any) -> Any:
        tries.append(1)
        return raised_by(error)() if len(tries) <= failures else follow(*args)

    monkeypatch.setattr("db.transactions.PAUSE", 0.001)
    monkeypatch.setattr(db.apply.polling, "follow", failing)
    yield tries


def together(*works: Callable[[], Any]) -> list[Any]:
    """Run them at the same moment; results in order."""
    barrier = Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        barrier.wait(10)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


# --- an answer for what is gone --------------------------------------------------------------------------


def test_an_answer_to_an_older_version_is_dropped(vm: Vm) -> None:
    vm.replicate()
    late = vm.answer("running", done=SIZE // 2)
    vm.hear("completed", done=SIZE)
    before = everything_of(vm)
    assert vm.store.answer([late], vm.wait(seconds=5).now) == []
    assert everything_of(vm) == before


def by(replica: str, answer: Answer, polls: int) -> Answer:
    """An answer that a replica asked for when so many others had been applied."""
    return replace(answer, evidence=replace(answer.evidence, observer=replica), polls=polls)


def test_an_answer_that_another_replicas_answer_has_overtaken_is_dropped(vm: Vm) -> None:
    """A replica that was frozen wakes with what the VMA said long ago; progress raises no version."""
    vm.replicate()
    polls = vm.store.loaded(vm.job_id).polls
    old, new = by("frozen", vm.answer("running", done=MIB), polls), by("awake", vm.answer("running", done=SIZE), polls)
    assert len(vm.store.answer([new], vm.wait(seconds=30).now)) == 1
    before = everything_of(vm)
    assert vm.store.answer([old], vm.wait(seconds=5).now) == []
    assert everything_of(vm) == before
    again = by("frozen", vm.answer("running", done=SIZE), polls + 1)
    assert len(vm.store.answer([again], vm.now)) == 1, "what it asks for now is as good as anybody's"


def test_two_replicas_that_hear_the_end_at_once_write_it_once_and_count_both_or_one(vm: Vm) -> None:
    vm.replicate()
    polls, moves = vm.store.loaded(vm.job_id).polls, len(rows(vm.store, HISTORY, job_id=vm.job_id))
    ends = [by("a", vm.answer("completed", done=SIZE), polls), by("b", vm.answer("failed", error="disk full"), polls)]
    applied = together(*(partial(vm.store.answer, [end], vm.now) for end in ends))
    assert sorted(len(one) for one in applied) == [0, 1]
    assert len(rows(vm.store, HISTORY, job_id=vm.job_id)) == moves + 1
    [context] = rows(vm.store, CONTEXTS, context_id=vm.store.loaded(vm.job_id).vm_context_id)
    assert context["total_jobs_run"] == context["successful_jobs"] + context["failed_jobs"] == 1


def test_answers_of_two_replicas_at_once_are_all_counted(vm: Vm) -> None:
    """What is joined to a row that was waited for must be read after the wait, or a count is lost (PostgreSQL)."""
    vm.replicate()
    polls = vm.store.loaded(vm.job_id).polls
    for _ in range(8):
        works = (partial(vm.store.answer, [vm.answer("running", done=MIB)], vm.now) for _ in range(3))
        polls += sum(len(applied) for applied in together(*works))
    assert vm.store.loaded(vm.job_id).polls == polls


def test_an_answer_to_a_job_that_is_gone_is_dropped_and_the_others_are_applied(vm: Vm) -> None:
    vm.replicate()
    other = Vm(vm.store).replicate()
    answers = [vm.answer("running", done=MIB), other.answer("running", done=MIB)]
    with write(vm.store.engine) as connection:
        connection.execute(JOBS.delete().where(JOBS.c.id == other.job_id))
    assert [a.decision.before.job_id for a in vm.store.answer(answers, vm.now)] == [vm.job_id]


def test_the_second_answer_about_a_job_in_one_batch_is_dropped(vm: Vm) -> None:
    vm.replicate()
    other = Vm(vm.store).replicate()
    answers = [vm.answer("completed", done=SIZE), vm.answer("running", done=MIB), other.answer("running", done=MIB)]
    applied = vm.store.answer(answers, vm.now)
    assert [a.decision.before.job_id for a in applied] == [vm.job_id, other.job_id]
    assert (vm.facts.state, len(vm.history), vm.polling.total_polls) == ("completed", 5, 1)


def everything_of(vm: Vm) -> tuple[Any, ...]:
    return dict(vm.row), vm.context, vm.disks, vm.history, vm.polls


# --- two writers -----------------------------------------------------------------------------------------


def test_two_answers_that_conclude_differently_at_once_make_one_end(vm: Vm) -> None:
    vm.replicate()
    done, broke = vm.answer("completed", done=SIZE), vm.answer("failed", error="disk died")
    results = together(*(lambda a=a: vm.store.answer([a], vm.now) for a in (done, broke)))
    assert sorted(len(r) for r in results) == [0, 1]
    winner = next(r[0].decision for r in results if r)
    assert vm.row["status"] == winner.after.state
    assert [h["seq"] for h in vm.history] == [1, 2, 3, 4, 5]
    assert vm.history[-1]["edge"] == winner.edge
    context = vm.context
    assert (context["successful_jobs"], context["failed_jobs"]) == ((1, 0) if winner.edge == "done" else (0, 1))


def test_an_operator_who_fails_a_job_while_it_completes_is_told_by_whom_it_ended(vm: Vm) -> None:
    vm.replicate()
    answer = vm.answer("completed", done=SIZE)
    heard, fired = together(
        lambda: vm.store.answer([answer], vm.now),
        lambda: vm.fire(Event.FAIL, OPERATOR),
    )
    assert len(vm.history) == 5
    if fired.decision.moved:
        assert (heard, vm.row["status"]) == ([], "failed")
    else:
        assert (len(heard), vm.row["status"]) == (1, "completed")
        assert "a job that is completed" in fired.decision.says


def test_the_same_event_from_many_at_once_has_one_effect(vm: Vm) -> None:
    vm.set_up()
    outcomes = [a.decision.outcome for a in together(*[lambda: vm.fire(Event.START)] * 4)]
    assert sorted(outcomes) == [Outcome.MOVED, *[Outcome.STAYED] * 3]
    assert (len(vm.history), vm.row["version"]) == (4, 4)


def test_two_batches_over_the_same_jobs_in_opposite_order_both_finish(vm: Vm) -> None:
    vms = [Vm(vm.store).replicate() for _ in range(6)]
    answers = [v.answer("completed", done=SIZE) for v in vms]
    first, second = together(
        lambda: vm.store.answer(answers, vm.now),
        lambda: vm.store.answer(answers[::-1], vm.now),
    )
    assert len(first) + len(second) == 6
    assert [len(v.history) for v in vms] == [5] * 6


def test_an_answer_for_a_job_that_another_writer_holds_changes_nothing_of_what_that_one_wrote(vm: Vm) -> None:
    """On SQLite it waits, for whoever writes has the whole file; on the servers the held row is passed over."""
    vm.replicate()
    with unguarded(vm.store.engine), ThreadPoolExecutor(1) as pool:
        with write(vm.store.engine) as connection:
            connection.execute(update(JOBS).where(JOBS.c.id == vm.job_id).values(version=9, progress_percent=77.0))
            answer = vm.answer("running", done=MIB)
            waiting = pool.submit(vm.store.answer, [answer], vm.now)
            if vm.store.engine.dialect.name == "sqlite":
                assert not waiting.done()
            else:
                assert waiting.result(10) == []
        assert waiting.result(10) == []
    assert (vm.row["version"], vm.row["progress_percent"]) == (9, 77.0)


def test_reopening_a_job_while_a_newer_one_is_created_is_refused(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    vm.replicate().fire(Event.FAIL, OPERATOR)
    decided = Flag()
    follow = contexts.follow

    def announced(connection: Any, decisions: list[tuple[str, Decision]]) -> None:
        if any(decision.event is Event.REOPEN for _, decision in decisions):
            decided.set()
        follow(connection, decisions)

    monkeypatch.setattr(contexts, "follow", announced)
    policy, later = vm.store.policy, vm.wait(hours=1).now
    with ThreadPoolExecutor(1) as pool:
        with write(vm.store.engine) as connection:
            newer = jobs.create(connection, vm.new(), later, asked=Asked(), policy=policy, asked_about={})
            reopening = pool.submit(vm.fire, Event.REOPEN, OPERATOR)
            # On SQLite and MariaDB it does not get that far: one writer; and EXISTS waits for the newer row.
            decided.wait(10 if vm.store.engine.dialect.name == "postgresql" else 0.2)
        assert reopening.result(10).decision.outcome is Outcome.REFUSED
    assert vm.row["status"] == "failed"
    assert vm.context["current_job_id"] == newer.after.job_id


def test_a_job_is_not_created_over_one_that_is_being_reopened(vm: Vm) -> None:
    vm.replicate().lose(done=MIB)
    answer = vm.answer("running", done=2 * MIB)
    heard, created = together(
        lambda: vm.store.answer([answer], vm.now),
        lambda: vm.ask_for(about={vm.job_id: Verdict.NOT_FOUND}),
    )
    active = [
        r["id"] for r in rows(vm.store, JOBS, source_vm_name=vm.name) if r["status"] in ("replicating", "initializing")
    ]
    assert active == [created.after.job_id if created.moved else vm.job_id]
    assert vm.context["current_job_id"] == active[0]
    assert heard[0].decision.moved is not created.moved


def test_two_jobs_of_a_vm_that_end_at_once_are_both_counted(vm: Vm) -> None:
    older = vm.replicate().lose(done=MIB).job_id
    vm.wait(hours=1).replicate()
    together(
        lambda: vm.fire(Event.FAIL, WORKFLOW),
        lambda: vm.fire(Event.COMPLETE, OPERATOR, job_id=older),
    )
    context = vm.context
    assert (context["successful_jobs"], context["failed_jobs"], context["current_job_id"]) == (1, 1, None)
    assert context["last_successful_job_id"] == older


# --- tried again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        LostRaceError({"job-1": "now failed"}),
        OperationalError("UPDATE", {}, Exception("Deadlock found when trying to get lock; try restarting")),
        OperationalError("UPDATE", {}, Exception("could not serialize access due to concurrent update")),
        OperationalError("UPDATE", {}, Exception("database is locked")),
        IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed: job_history.job_id")),
    ],
    ids=["lost race", "deadlock", "serialisation", "locked", "unique"],
)
def test_a_lost_transaction_is_tried_again(vm: Vm, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    vm.replicate()
    with first_attempts_fail(monkeypatch, error, 2) as tries:
        assert vm.hear("completed", done=SIZE).decision.moved
    assert (len(tries), len(vm.history), vm.polling.total_polls) == (3, 5, 1)


def test_a_transaction_that_is_lost_three_times_is_given_up_and_leaves_nothing(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm.replicate()
    before = everything_of(vm)
    lost = LostRaceError({"job-1": "now failed"})
    with (
        first_attempts_fail(monkeypatch, lost, 9) as tries,
        pytest.raises(LostRaceError, match=r"job-1 \(now failed\): changed by"),
    ):
        vm.fire(Event.COMPLETE, OPERATOR)
    assert len(tries) == 3
    assert everything_of(vm) == before


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("UPDATE deadlock", {"reason": "database is locked"}, Exception("database or disk is full")),
        OperationalError("UPDATE", {}, Exception("server closed the connection unexpectedly")),
        OperationalError("UPDATE", {}, Exception("Lock wait timeout exceeded; try restarting transaction")),
        IntegrityError("INSERT", {"unique": "duplicate"}, Exception("FOREIGN KEY constraint failed")),
    ],
    ids=["full disk", "lost server", "rows that stay held", "foreign key"],
)
def test_what_another_try_does_not_mend_is_told_at_once(
    vm: Vm, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    vm.replicate()
    before = everything_of(vm)
    with first_attempts_fail(monkeypatch, error, 9) as tries, pytest.raises(type(error)):
        vm.fire(Event.COMPLETE, OPERATOR)
    assert (len(tries), everything_of(vm)) == (1, before)


def reading_is_stale(vm: Vm, monkeypatch: pytest.MonkeyPatch, times: int, **changed: Any) -> None:
    """So many times the row changes after it was read, as by a writer that takes no locks."""
    load_one, read_times = db.store.load_one, []

    def load_what_was(connection: Connection, job_id: str, *, lock: bool = False) -> Any:
        found = load_one(connection, job_id)
        read_times.append(1)
        if len(read_times) <= times:
            connection.execute(update(JOBS).where(JOBS.c.id == vm.job_id).values(changed))
        return found

    monkeypatch.setattr("db.transactions.PAUSE", 0.001)
    monkeypatch.setattr(db.store, "load_one", load_what_was)


@pytest.mark.parametrize("changed", [{"version": 9}, {"status": "ready_for_sync"}], ids=["version", "status"])
def test_a_job_changed_between_reading_and_writing_is_judged_anew(
    vm: Vm, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    vm.replicate()
    reading_is_stale(vm, monkeypatch, 2, **changed)
    with unguarded(vm.store.engine):
        assert vm.fire(Event.COMPLETE, OPERATOR).decision.moved
    assert ([h["seq"] for h in vm.history], vm.row["version"]) == ([1, 2, 3, 4, 5], 5)


@pytest.mark.parametrize("changed", [{"version": 9}, {"status": "ready_for_sync"}], ids=["version", "status"])
def test_a_job_that_changes_each_time_is_left_alone(
    vm: Vm, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    vm.replicate()
    before = everything_of(vm)
    reading_is_stale(vm, monkeypatch, 9, **changed)
    with (
        unguarded(vm.store.engine),
        pytest.raises(
            LostRaceError, match=f"{vm.job_id} .*by somebody who left no history.: changed by another writer"
        ),
    ):
        vm.fire(Event.COMPLETE, OPERATOR)
    assert everything_of(vm) == before


def test_after_three_lost_races_it_is_said_who_won(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    vm.replicate()
    read_too_early = []
    for events in ((Event.FAIL, Event.REOPEN), (Event.FAIL, Event.REOPEN), (Event.COMPLETE,)):
        read_too_early.append(vm.store.loaded(vm.job_id))
        for event in events:
            vm.fire(event, Asked(Asker.OPERATOR, "boris", "knows better"))
    monkeypatch.setattr("db.transactions.PAUSE", 0.001)
    monkeypatch.setattr(db.store, "load_one", lambda *_, **__: read_too_early.pop(0))
    with pytest.raises(LostRaceError) as lost:
        vm.fire(Event.COMPLETE, OPERATOR)
    assert lost.value.won == {vm.job_id: f"now completed, version 9, by operator boris at {vm.now:%H:%M:%S}Z"}
    assert (read_too_early, [h["actor"] for h in vm.history[-5:]]) == ([], ["boris"] * 5)


def test_of_a_batch_only_those_that_lost_are_named(vm: Vm, store: Store) -> None:
    vm.replicate()
    other = Vm(store).replicate()
    stale = [(v.store.loaded(v.job_id), v.answer("completed", done=SIZE)) for v in (vm, other)]
    vm.fire(Event.FAIL, OPERATOR)
    decided = [(loaded, decide_on(loaded.facts, a.evidence, vm.now, asked=a.asked)) for loaded, a in stale]
    with pytest.raises(LostRaceError) as lost, write(store.engine) as connection:
        apply(connection, decided, store.policy)
    assert lost.value.won == {vm.job_id: f"now failed, version 5, by operator anna at {vm.now:%H:%M:%S}Z"}
    assert other.facts.state == "replicating"
