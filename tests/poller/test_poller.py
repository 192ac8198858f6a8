"""The steady poll: one question per job at a time, the pace of the rules, who leaves the schedule."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from model_vma import Copy, evidence
from structlog.testing import capture_logs
from world import OPERATOR, POLL, Process, World, run, until

from db.apply import Applied
from db.load import Loaded
from db.store import Answer
from fsm.facts import Asked
from fsm.states import Asker, Event, Verdict
from poller import poller as poller_module
from poller.monitor import MONITOR
from poller.vmas import LastHeard


@pytest.fixture(autouse=True)
def quick_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is tried again at once."""
    monkeypatch.setattr(poller_module, "RETRY", 0.01)


# --- one question at a time ------------------------------------------------------------------------


def test_a_job_whose_question_is_slow_is_not_asked_a_second_time_meanwhile(world: World) -> None:
    job, other = world.job(percent=30), world.job(percent=30)
    world.vma.run(job, 31)
    world.vma.run(other, 31)

    async def story() -> None:
        async with world.process() as us:
            world.vma.hold(job)
            await us.pass_time(301)
            assert world.vma.under_way[job] == 1
            assert len(world.vma.times(job)) == 2
            assert len(world.vma.times(other)) == 61, "the other's pace is unchanged"
            world.vma.release(job)
            await us.pass_time(11)

    run(story())
    assert world.vma.most_at_once == {job: 1, other: 1}
    assert len(world.vma.times(job)) == 4


def test_a_wake_during_a_question_asks_again_at_once_and_once(world: World) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 31)

    async def story() -> None:
        async with world.process() as us:
            world.vma.hold(job)
            await us.pass_time(6)
            for _ in range(3):
                us.service.wake(job)
            world.vma.run(job, 44)
            world.vma.release(job)
            await us.settle()
            assert len(world.vma.times(job)) == 3
            assert world.row(job)["progress_percent"] == 44
            await us.pass_time(4.9)
            assert len(world.vma.times(job)) == 3

    run(story())
    assert world.vma.most_at_once[job] == 1


def test_a_wake_asks_a_waiting_job_at_once(world: World) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 31)

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(1)
            us.service.wake(job)
            await us.settle()
            assert [at - world.vma.times(job)[0] for at in world.vma.times(job)] == pytest.approx([0, 1], abs=0.01)

    run(story())


# --- the pace --------------------------------------------------------------------------------------


def gaps(world: World, job: str) -> list[float]:
    """Seconds between the questions about a job."""
    times = world.vma.times(job)
    return [round(later - earlier, 1) for earlier, later in pairwise(times)]


@pytest.mark.parametrize(
    ("copy", "seconds", "expected"),
    [
        (Copy(Verdict.RUNNING, 30.0), 21, [5, 5, 5, 5]),
        (Copy(Verdict.RUNNING, 97.0), 9, [2, 2, 2, 2]),
        (Copy(Verdict.NOT_FOUND), 11, [5, 5]),
        (Copy(Verdict.UNREACHABLE, None, {"error": "connection refused"}), 125, [10, 20, 30, 30, 30]),
        (Copy(Verdict.UNINTELLIGIBLE, None, {"error": "HTTP 429", "retry_after": 45.0}), 95, [45, 45]),
        (Copy(Verdict.UNINTELLIGIBLE, None, {"error": "HTTP 429", "retry_after": 4000.0}), 125, [60, 60]),
    ],
)
def test_each_answer_sets_the_time_of_the_next_question(
    world: World, copy: Copy, seconds: float, expected: list[float]
) -> None:
    job = world.job(percent=30, age="20m", heard=1)
    world.vma.copies[job] = copy

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(seconds)

    run(story())
    assert gaps(world, job) == expected


def test_one_answer_ends_the_back_off(world: World) -> None:
    job = world.job(percent=30)
    world.vma.silence(job)

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(31)  # asked at 0, 10, 30
            world.vma.run(job, 31)
            await us.pass_time(41)

    run(story())
    assert gaps(world, job) == [10, 20, 30, 5, 5]


@pytest.mark.parametrize(("ago", "seconds", "expected"), [("1m", 16, [5, 5, 5]), ("11m", 121, [60, 60])])
def test_an_inferred_end_is_watched_fast_at_first_and_every_minute_later(
    world: World, ago: str, seconds: float, expected: list[float]
) -> None:
    job = world.inferred_end(ago=ago)

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(seconds)

    run(story())
    assert gaps(world, job) == expected
    assert world.status(job) == "failed"


# --- batches, listeners, leaving -------------------------------------------------------------------


def test_answers_that_gather_while_one_batch_is_written_go_into_one_transaction(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, *rest = [world.job("initializing", age="1m") for _ in range(12)]
    written, may_go, write = [], threading.Event(), world.store.answer

    def counted(answers: Sequence[Answer], now: datetime) -> list[Applied]:
        written.append(len(answers))
        assert may_go.wait(5)
        return write(answers, now)

    async def story() -> None:
        async with world.process() as us:
            monkeypatch.setattr(world.store, "answer", counted)
            us.service.wake(slow)
            await until(lambda: written == [1])
            for job in rest:
                us.service.wake(job)
            await until(lambda: len(us.poller.answers) == len(rest))
            may_go.set()
            await us.settle()

    run(story())
    assert written == [1, 11]


def test_a_listener_that_fails_costs_nobody_an_answer(world: World) -> None:
    jobs = [world.job(percent=30) for _ in range(3)]
    heard: list[str] = []

    def broken(_job_id: str, _applied: Applied | None) -> None:
        raise RuntimeError("a bug of the embedding service")

    async def story() -> None:
        us = Process(world)
        us.poller.listeners[:0] = [broken]
        us.poller.listeners.append(lambda job_id, _applied: heard.append(job_id))
        try:
            await us.start()
            await us.pass_time(6)
        finally:
            await us.kill()

    with capture_logs() as logs:
        run(story())
    assert sum(line["event"] == "a listener failed" for line in logs) == 6
    assert sorted(heard) == sorted(jobs * 2)


def test_a_job_that_ended_leaves_the_schedule_and_listeners_hear_how(world: World) -> None:
    job = world.job(percent=30)
    world.vma.complete(job)
    heard: list[tuple[str, str | None]] = []

    def listen(job_id: str, applied: Applied | None) -> None:
        heard.append((job_id, applied.decision.after.state if applied else None))

    async def story() -> None:
        us = Process(world)
        us.poller.listeners.append(listen)
        try:
            await us.start()
            us.poller.put(job)  # somebody wakes it although it is over
            await us.settle()
            assert us.schedule == set()
        finally:
            await us.kill()

    run(story())
    assert heard == [(job, "completed"), (job, None)]
    assert len(world.vma.times(job)) == 1


def test_a_wake_that_comes_while_a_job_is_read_is_not_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its polling row was off when it was read; the monitor switched it on before that was looked at."""
    job = world.job(percent=30)
    world.vma.run(job, 40)
    read = world.store.load

    async def story() -> None:
        async with world.process() as us:
            loop = asyncio.get_running_loop()

            async def wake() -> None:
                us.service.wake(job)

            def read_and_repair(ids: Sequence[str]) -> dict[str, Loaded]:
                monkeypatch.setattr(world.store, "load", read)
                found = read(ids)
                world.store.start_polling(ids, world.clock.time)
                asyncio.run_coroutine_threadsafe(wake(), loop).result(5)
                return found

            world.sql("UPDATE vma_polling_state SET is_active = 0")
            monkeypatch.setattr(world.store, "load", read_and_repair)
            us.service.wake(job)
            await us.settle()
            assert us.schedule == {job}

    run(story())
    assert len(world.vma.times(job)) == 2


def test_a_job_that_is_being_read_or_written_is_not_taken_for_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The monitor looked at it a moment before it was taken, and comes back to it while it is read or written."""
    job = world.job(percent=30)
    world.vma.run(job, 40)
    real = {name: getattr(world.store, name) for name in ("load", "answer")}
    begun, may_go = threading.Event(), threading.Event()

    def slowly(name: str) -> Callable[..., Any]:
        def work(*args: Any) -> Any:
            begun.set()
            assert may_go.wait(5)
            return real[name](*args)

        return work

    async def story() -> None:
        async with world.process() as us:
            for name, work in real.items():
                begun.clear()
                may_go.clear()
                monkeypatch.setattr(world.store, name, slowly(name))
                us.service.wake(job)
                await until(begun.is_set)
                us.poller.ask_anew(job, MONITOR)
                entry = us.poller.schedule.get(job)
                assert entry is not None
                assert (entry.in_flight_since is not None, entry.again) == (True, True), f"during {name}"
                may_go.set()
                await us.settle()
                monkeypatch.setattr(world.store, name, work)

    run(story())
    assert world.vma.most_at_once[job] == 1
    assert len(world.vma.times(job)) == 5


def test_a_job_that_leaves_and_comes_back_during_its_question_is_asked_when_that_is_answered(world: World) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 40)

    async def story() -> None:
        async with world.process() as us:
            world.vma.hold(job)
            us.service.wake(job)
            await until(lambda: world.vma.under_way[job] == 1)
            world.store.fire(job, Event.FAIL, world.clock.time, asked=OPERATOR)
            us.poller.drop(job)
            world.store.fire(job, Event.REOPEN, world.clock.time, asked=OPERATOR)
            us.service.wake(job)
            entry = us.poller.schedule.get(job)
            assert entry is not None
            assert entry.in_flight_since is not None
            world.vma.release(job)
            await us.settle()
            assert us.schedule == {job}

    run(story())
    assert world.vma.most_at_once[job] == 1
    assert len(world.vma.times(job)) == 3
    assert world.row(job)["progress_percent"] == 40


@pytest.mark.parametrize("older", [0, -1], ids=["applied", "of a version that is gone"])
def test_an_answer_from_beside_the_schedule_does_not_end_the_question_under_way(world: World, older: int) -> None:
    """Before a new job of a VM its watched end is asked about, whenever that is polled."""
    job = world.inferred_end()
    world.vma.silence(job)

    async def story() -> None:
        async with world.process() as us:
            world.vma.hold(job)
            us.service.wake(job)
            await until(lambda: world.vma.under_way[job] == 1)
            facts = world.store.facts(job)
            beside = evidence(Copy(Verdict.NOT_FOUND), facts.disks, us.observer)
            answer = Answer(job, facts.version + older, beside, Asked(Asker.WORKFLOW))
            assert len(await us.poller.apply([answer])) == older + 1
            entry = us.poller.schedule.get(job)
            assert entry is not None
            assert entry.in_flight_since is not None
            world.vma.release(job)
            await us.settle()
            await us.pass_time(31)
            assert us.schedule == {job}

    run(story())
    assert world.vma.most_at_once[job] == 1
    assert len(world.vma.times(job)) > 2


def test_a_job_that_an_operator_ends_during_its_question_is_left_alone(world: World) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 31)

    async def story() -> None:
        async with world.process() as us:
            world.vma.hold(job)
            await us.pass_time(6)
            world.store.fire(job, Event.FAIL, world.clock.time, asked=OPERATOR)
            us.poller.drop(job)
            world.vma.release(job)
            await us.pass_time(20)
            assert us.schedule == set()

    run(story())
    assert (world.status(job), world.row(job)["ending"]) == ("failed", "manual")
    assert len(world.vma.times(job)) == 2


def test_it_is_known_when_the_vma_was_last_heard_and_what_is_wrong_with_it(world: World) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 31)
    noon = world.clock.time

    async def story() -> None:
        async with world.process() as us:
            assert us.poller.heard == {"default": LastHeard(noon)}
            world.vma.silence(job, "connection refused")
            await us.pass_time(6)
            assert us.poller.heard == {"default": LastHeard(noon, "connection refused")}
            us.poller.is_back("another")
            assert us.poller.heard == {"default": LastHeard(noon, "connection refused")}
            us.poller.is_back("default")
            assert us.poller.heard == {"default": LastHeard(noon)}
            world.vma.forget(job)
            await us.pass_time(11)
            heard = us.poller.heard["default"]
            assert heard.at is not None
            assert heard.at > noon, "a 404 is an answer"
            assert heard.error is None

    run(story())


def test_the_loop_ends_when_it_is_cancelled_in_the_very_moment_in_which_it_is_woken(world: World) -> None:
    async def story() -> None:
        async with world.process() as us:
            loop = asyncio.create_task(us.poller.ask_loop())
            await asyncio.sleep(0)
            us.poller.put("unknown", POLL, delay=100.0)
            loop.cancel()
            await asyncio.wait([loop], timeout=1)
            assert loop.cancelled()

    run(story())


def test_the_time_that_asking_takes_counts_for_the_pause_until_the_next_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes, pauses = [0.02, 0.3], list[float]()

    async def story() -> None:
        async with world.process(started=False) as us:
            us.poller.tick = 0.05

            async def ask_all(_: object) -> None:
                world.clock.advance(takes[len(pauses)])

            async def sleep(seconds: float) -> None:
                pauses.append(seconds)
                us.poller.put(f"job-{len(pauses)}")
                if len(pauses) == len(takes):
                    raise asyncio.CancelledError

            us.poller.put("job-0")
            with monkeypatch.context() as patched:
                patched.setattr(us.poller, "_ask_all", ask_all)
                patched.setattr(asyncio, "sleep", sleep)
                with pytest.raises(asyncio.CancelledError):
                    await us.poller.ask_loop()

    run(story())
    assert pauses == [pytest.approx(0.03), 0.0]


def test_polling_does_not_wait_behind_requests_of_the_api(world: World) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 40)
    may_end = threading.Event()

    async def story() -> None:
        async with world.process() as us:
            await us.recovery_over()
            loop = asyncio.get_running_loop()
            requests = ThreadPoolExecutor(1)
            loop.set_default_executor(requests)
            stuck = [asyncio.ensure_future(asyncio.to_thread(may_end.wait, 5)) for _ in range(100)]
            before = world.row(job)["polling_total_polls"]
            us.service.wake(job)
            await until(lambda: world.row(job)["polling_total_polls"] > before)
            assert not any(request.done() for request in stuck)
            may_end.set()
            await asyncio.gather(*stuck)

    run(story())


def test_jobs_recovered_at_once_are_asked_again_in_their_time_and_then_each_at_its_own_moment(world: World) -> None:
    jobs = [world.job(percent=30) for _ in range(20)]
    for job in jobs:
        world.vma.run(job, 40)

    async def story() -> None:
        async with world.process() as us:
            us.poller.spread = True
            await us.recovery_over()
            began = world.clock.monotonic()
            await us.pass_time(20)
            moments = [[t - began for t in world.vma.times(job) if t > began] for job in jobs]
            assert {round(times[0], 3) for times in moments} == {5.0}, "not before, however many wait for their first"
            assert len({round(times[1], 3) for times in moments}) > 15, "ids are random: two may have the same moment"
            assert all(0 < times[1] - times[0] < 5.001 for times in moments), "ids are random: it may come at once"
            assert all(times[2] - times[1] == pytest.approx(5, abs=0.001) for times in moments)

    run(story())
