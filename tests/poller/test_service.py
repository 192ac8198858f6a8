"""The polling service: up at once, loops that come back, an orderly end."""

import asyncio
import threading
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import pytest
from structlog.testing import capture_logs
from world import Process, World, run, until

from fsm.states import Asker
from poller import poller as poller_module
from poller import service as service_module
from vma.client import VmaLimits


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again at once."""
    monkeypatch.setattr(service_module, "RESTART", 0.005)
    monkeypatch.setattr(poller_module, "RETRY", 0.005)


def failing(times: int, work: Any) -> Any:
    """`work` that fails at first."""
    left = [ConnectionError("away")] * min(times, 10_000)

    def run_it(*args: Any, **kwargs: Any) -> Any:
        if left:
            raise left.pop()
        return work(*args, **kwargs)

    return run_it


# --- the start -------------------------------------------------------------------------------------


def test_start_returns_at_once_though_the_vma_hangs(world: World) -> None:
    jobs = [world.job(percent=30) for _ in range(20)]
    for job in jobs:
        world.vma.hold(job)

    async def story() -> None:
        us = Process(world)
        try:
            running = [us.service.running]
            us.service.start()
            assert [*running, us.service.running] == [False, True]
            await until(lambda: us.schedule == set(jobs))
            await until(lambda: len(world.vma.asked) == 20)
            assert us.service.polled_job_ids() == sorted(jobs)
            assert us.service.is_polling(jobs[0])
            assert not us.service.is_polling("unknown")
        finally:
            await us.kill()

    run(story())


@pytest.mark.parametrize("step", ["abandon_runs", "polled_jobs", "start_polling", "open_run"])
def test_recovery_waits_for_a_database_that_is_away_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    job = world.job(percent=30)
    world.sql("DELETE FROM vma_polling_state")
    world.vma.run(job, 40)
    monkeypatch.setattr(world.store, step, failing(3, getattr(world.store, step)))

    async def story() -> None:
        async with world.process() as us:
            assert us.schedule == {job}

    with capture_logs() as logs:
        run(story())
    assert world.row(job)["progress_percent"] == 40
    assert sum(line["event"] == "Recovery cannot start; trying again" for line in logs) == 3
    assert len([r for r in world.runs() if r["asked_by"] == Asker.STARTUP]) == 1


def test_the_log_of_a_start_says_that_recovery_ran_and_what_it_found(world: World) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 40)

    async def story() -> None:
        async with world.process() as us:
            await us.service.stop()

    with capture_logs() as logs:
        run(story())
    told = [line["event"] for line in logs if line["log_level"] == "info"]
    assert told == [
        "Recovery started",
        "Job still active on VMA",
        "Restarted VMA progress polling",
        "Recovery finished",
        "Polling stops",
        "Polling stopped; every answer that came is written",
    ]
    finished = next(line for line in logs if line["event"] == "Recovery finished")
    assert (finished["jobs"], finished["outcomes"]) == (1, {"running": 1})


# --- while it runs ---------------------------------------------------------------------------------


LOOPS = {
    "ask": ("poller.schedule", "take_due"),
    "apply": ("poller", "apply"),
    "monitor": ("monitor", "loop"),
    "heartbeat": ("service", "_heartbeat"),
}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_that_fails_is_started_again(world: World, monkeypatch: pytest.MonkeyPatch, loop: str) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 40)
    where, method = LOOPS[loop]

    async def story() -> None:
        async with world.process(started=False) as us:
            target = attrgetter(where)(us)
            monkeypatch.setattr(target, method, failing(2, getattr(target, method)))
            us.service.start()
            while len(failed(logs)) < 2 or world.row(job)["progress_percent"] != 40:
                us.poller._wake.set()
                await asyncio.sleep(0.01)  # longer than a loop is away
                world.clock.advance(40)
                await us.monitor.cycle()  # what a failing loop lost is found

    with capture_logs() as logs:
        run(story())
    assert failed(logs) == [loop, loop]


def failed(logs: Sequence[Any]) -> list[str]:
    """The loops that failed."""
    return [line["loop"] for line in logs if line["event"].startswith("loop failed")]


def test_the_heartbeat_shows_that_the_event_loop_runs(world: World) -> None:
    async def story() -> None:
        async with world.process(started=False) as us:
            world.clock.advance(77)
            await us.start()
            await until(lambda: us.service.beat == 77)

    run(story())


# --- the end ---------------------------------------------------------------------------------------


def test_stop_lets_questions_under_way_come_back_and_writes_them(world: World) -> None:
    job, other = world.job(percent=30), world.job(percent=30)
    for one in (job, other):
        world.vma.run(one, 40)

    async def story() -> None:
        async with world.process() as us:
            world.vma.run(job, 60)
            world.vma.hold(job)
            await us.pass_time(6)
            stopping = asyncio.create_task(us.service.stop())
            await asyncio.sleep(0.02)
            assert not stopping.done(), "it waits for the answer"
            asked = len(world.vma.asked)
            us.service.wake(other)
            world.vma.release(job)
            await stopping
            assert len(world.vma.asked) == asked, "nobody is asked any more"
            assert not us.service.running

    run(story())
    assert world.row(job)["progress_percent"] == 60
    assert world.vma.closed


def test_stop_writes_the_answers_that_came_and_were_not_written_yet(world: World) -> None:
    job = world.job(percent=30)
    world.vma.complete(job)

    async def story() -> None:
        async with world.process(started=False) as us:
            us.service.start()
            await until(lambda: us.poller._asking != {} or world.status(job) == "completed")
            await us.service.stop()

    run(story())
    assert world.status(job) == "completed"


def test_what_is_being_written_when_we_stop_counts_in_the_recovery_s_record_however_late(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread is waited for in any case; what it wrote would be unknown to all who listen."""
    job, hung = world.job(percent=30), world.job(percent=30)
    world.vma.run(job, 40)
    world.vma.hold(hung)
    monkeypatch.setattr(service_module, "DRAIN", 0.0)
    writing, may_go, write = threading.Event(), threading.Event(), world.store.answer

    def slow(*args: Any) -> Any:
        writing.set()
        assert may_go.wait(5)
        return write(*args)

    monkeypatch.setattr(world.store, "answer", slow)

    async def story() -> None:
        async with world.process(started=False) as us:
            us.service.start()
            await until(writing.is_set)
            stopping = asyncio.create_task(us.service.stop())
            await until(lambda: not world.vma.under_way[hung])  # it was given up: its time was over
            may_go.set()
            await stopping

    run(story())
    assert world.row(job)["progress_percent"] == 40
    assert (world.runs()[0]["looked_at"], world.runs()[0]["outcomes"]) == (1, {"running": 1})


def test_stop_does_not_wait_for_ever_and_writes_nothing_because_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "DRAIN", 0.02)
    jobs = [world.job(percent=30) for _ in range(5)]
    for job in jobs:
        world.vma.hold(job)

    async def story() -> None:
        async with world.process() as us:
            await us.service.stop()

    run(story())
    assert {row["status"] for row in world.rows(jobs)} == {"replicating"}
    assert all(world.moves(job)[-1] == "start" for job in jobs)
    assert all(row["polling_is_active"] for row in world.rows(jobs)), "the next start polls them"
    assert world.vma.closed


def test_a_stop_takes_less_than_8_seconds_and_outlasts_the_slowest_question() -> None:
    assert VmaLimits().total < service_module.DRAIN <= 7


def test_stop_before_the_start_and_a_second_stop_do_no_harm(world: World) -> None:
    async def story() -> None:
        async with world.process(started=False) as us:
            await us.service.stop()
        async with world.process() as us:
            await us.service.stop()
            await us.service.stop()

    run(story())
    assert world.vma.closed


def test_stop_while_the_database_is_away_at_the_start_ends_the_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.store, "polled_jobs", failing(10**6, None))
    monkeypatch.setattr(service_module, "RESTART", 3600.0)

    async def story() -> None:
        async with world.process(started=False) as us:
            us.service.start()
            await asyncio.sleep(0.02)
            await us.service.stop()
            assert not us.service.running

    run(story())


def test_stop_in_the_very_moment_of_a_wake_ends_all_loops(world: World) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 40)

    async def story() -> None:
        async with world.process() as us:
            us.service.wake(job)
            await us.service.stop()

    run(story())
