"""Every recovery comes to its end: whatever becomes of a job, of a run's record, or of the process."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from model_vma import NOON
from world import OPERATOR, STARTUP, TRIGGER, Process, World, run, until

from fsm.states import Event
from poller import poller as poller_module


@pytest.fixture(autouse=True)
def quick_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came to nothing is tried again at once."""
    monkeypatch.setattr(poller_module, "RETRY", 0.01)


# --- nobody waits for ever -------------------------------------------------------------------------


def test_a_hung_vma_delays_neither_the_other_jobs_nor_their_polling(world: World) -> None:
    hung, *others = [world.job(percent=30) for _ in range(11)]
    world.vma.hold(hung)
    for job in others:
        world.vma.run(job, 40)

    async def story() -> None:
        async with world.process() as us:
            assert us.recovery.run is not None
            assert (us.recovery.run.looked_at, us.recovery.run.waiting) == (10, {hung})
            for job in others:
                world.vma.run(job, 50)
            await us.pass_time(6)
            assert {row["progress_percent"] for row in world.rows(others)} == {50}
            world.vma.release(hung)
            await us.recovery_over()

    run(story())
    assert world.runs()[0]["outcomes"] == {"running": 10, "waiting_not_found": 1}


def test_a_job_that_vanishes_during_recovery_counts_as_left(world: World) -> None:
    gone, stays = world.job(percent=30), world.job(percent=30)
    world.vma.run(stays, 40)
    world.vma.hold(gone)

    async def story() -> None:
        async with world.process() as us:
            world.sql("DELETE FROM replication_jobs WHERE id = :job", job=gone)
            world.vma.release(gone)
            await us.recovery_over()
            assert us.schedule == {stays}

    run(story())
    assert world.runs()[0]["outcomes"] == {"running": 1, "left": 1}


def test_a_job_that_vanished_before_it_was_asked_counts_as_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = world.job(percent=30)
    open_run = world.store.open_run

    def and_delete(*args: Any) -> int:
        world.sql("DELETE FROM replication_jobs WHERE id = :job", job=gone)
        return open_run(*args)

    monkeypatch.setattr(world.store, "open_run", and_delete)

    async def story() -> None:
        async with world.process() as us:
            assert us.schedule == set()

    run(story())
    assert world.vma.asked == []
    assert world.runs()[0]["outcomes"] == {"left": 1}


def test_a_job_that_is_dropped_while_it_waits_for_its_question_counts_as_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when an operator fails it through the API in the moment in which it is to be asked again."""
    job = world.job(percent=30)
    world.vma.run(job, 31)
    world.vma.hold(job)
    monkeypatch.setattr(poller_module, "RETRY", 50.0)

    async def story() -> None:
        async with world.process() as us:
            world.sql("UPDATE replication_jobs SET version = version + 1 WHERE id = :job", job=job)
            world.vma.release(job)
            await us.settle()
            assert not us.recovery.finished.is_set()
            us.poller.drop(job)
            await us.settle()
            assert us.recovery.finished.is_set()

    run(story())
    assert world.runs()[0]["outcomes"] == {"left": 1}


@pytest.mark.parametrize("trouble", ["it cannot be read", "its question fails"])
def test_a_job_that_leaves_the_schedule_in_the_moment_in_which_it_cannot_be_asked_about_is_not_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """A lost connection to the database costs a replica its shares and the answer to what it is reading."""
    job = world.job(percent=30)
    world.vma.run(job, 31)

    async def story() -> None:
        async with world.process() as us:
            loop, load, asked = asyncio.get_running_loop(), world.store.load, world.vma.ask
            left = asyncio.Event()

            def leave() -> None:
                us.poller.drop(job)
                left.set()

            def away(_ids: Any) -> Any:
                monkeypatch.setattr(world.store, "load", load)
                loop.call_soon_threadsafe(leave)
                raise ConnectionError("database is away")

            async def broken(_question: Any) -> Any:
                monkeypatch.setattr(world.vma, "ask", asked)
                leave()
                raise RuntimeError("a bug of the client")

            if trouble == "it cannot be read":
                monkeypatch.setattr(world.store, "load", away)
            else:
                monkeypatch.setattr(world.vma, "ask", broken)
            await us.recovery.start(TRIGGER)
            await left.wait()
            await until(lambda: job in us.poller.schedule and not us.poller.is_busy(job))
            await us.recovery_over()

    run(story())
    assert world.runs()[0]["outcomes"] == {"running": 1}


@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_wake_or_a_look_of_the_monitor_does_not_make_recovery_s_question_forgotten(world: World, moment: str) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 31)

    async def story() -> None:
        async with world.process() as us:
            if moment == "during":
                world.vma.hold(job)
                await us.pass_time(6)
            started = asyncio.create_task(us.recovery.start(TRIGGER))
            await until(lambda: not us.recovery.finished.is_set())
            us.service.wake(job)
            await started
            us.service.wake(job)
            if moment == "during":
                world.sql("UPDATE vma_polling_state SET is_active = 0 WHERE job_id = :job", job=job)
                await us.monitor.cycle()
                world.vma.release(job)
            await us.recovery_over()

    run(story())
    assert world.runs()[0]["outcomes"] == {"running": 1}
    assert world.vma.most_at_once[job] == 1


def test_the_answer_to_an_ordinary_poll_is_not_taken_for_recovery_s_own(world: World) -> None:
    job = world.job(percent=30)

    async def story() -> None:
        async with world.process() as us:
            world.vma.hold(job)
            await us.pass_time(6)
            assert us.recovery.run is None
            await us.recovery.start(TRIGGER)
            world.vma.run(job, 70)
            world.vma.release(job)
            await us.recovery_over()

    run(story())
    assert world.runs()[0]["outcomes"] == {"running": 1}, "asked anew, after the trigger"
    assert world.row(job)["recovery_attempted_at"] >= NOON + timedelta(seconds=6)


# --- killed and stopped runs -----------------------------------------------------------------------


def end_on_the_vma(_us: Process, world: World, job: str) -> None:
    """Its last answer is under way already."""


def fail_by_hand(us: Process, world: World, job: str) -> None:
    world.store.fire(job, Event.FAIL, world.clock.time, asked=OPERATOR)
    us.poller.drop(job)


@pytest.mark.parametrize(("ends", "outcomes"), [(end_on_the_vma, {"completed_on_vma": 1}), (fail_by_hand, {"left": 1})])
def test_a_job_that_ends_during_an_ordinary_poll_is_not_waited_for(
    world: World, ends: Callable[[Process, World, str], None], outcomes: dict[str, int]
) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 99)

    async def story() -> None:
        async with world.process() as us:
            world.vma.complete(job)
            world.vma.hold(job)
            us.service.wake(job)
            await until(lambda: world.vma.under_way[job] == 1)
            await us.recovery.start(TRIGGER)
            ends(us, world, job)
            world.vma.release(job)
            await until(us.recovery.finished.is_set)
            await us.settle()
            assert us.recovery.run is None, "or every other trigger would be refused"

    run(story())
    assert world.runs()[0]["outcomes"] == outcomes
    assert world.runs()[0]["finished_at"] is not None


def test_a_run_that_was_killed_is_closed_by_the_next_start(world: World) -> None:
    job = world.job(percent=30)
    world.vma.hold(job)

    async def story() -> None:
        async with world.process():
            pass
        assert world.runs()[0]["finished_at"] is None
        world.vma.release(job)
        world.clock.advance("1m")
        async with world.process():
            pass

    run(story())
    second, first = world.runs()
    assert first["finished_at"] == second["finished_at"] == world.clock.time
    assert (first["looked_at"], second["looked_at"]) == (0, 1)


def test_a_run_that_is_stopped_says_how_far_it_came(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poller.service.DRAIN", 0.01)
    hung, quick = world.job(percent=30), world.job(percent=30)
    world.vma.hold(hung)
    world.vma.run(quick, 40)

    async def story() -> None:
        async with world.process() as us:
            await us.service.stop()

    run(story())
    [record] = world.runs()
    assert (record["jobs"], record["looked_at"], record["finished_at"]) == (2, 1, None)
    assert record["outcomes"] == {"running": 1}


def test_polling_that_was_switched_off_or_never_on_is_on_again_after_recovery(world: World) -> None:
    off, missing, on = (world.job(percent=30) for _ in range(3))
    for job in (off, missing, on):
        world.vma.run(job, 40)
    world.sql("UPDATE vma_polling_state SET is_active = 0 WHERE job_id = :job", job=off)
    world.sql("DELETE FROM vma_polling_state WHERE job_id = :job", job=missing)
    since = world.row(on)["polling_started_polling_at"]

    async def story() -> None:
        async with world.process():
            pass

    run(story())
    assert {row["progress_percent"] for row in world.rows([off, missing, on])} == {40}
    assert all(row["polling_is_active"] for row in world.rows([off, missing, on]))
    assert world.row(on)["polling_started_polling_at"] == since, "it was polled all the time"


def test_recovery_started_by_nobody_in_particular_is_a_start(world: World) -> None:
    async def story() -> None:
        async with world.process(started=False) as us:
            found = await us.recovery.start(STARTUP)
            assert (found.total, us.recovery.finished.is_set()) == (0, True)
            await us.settle()

    run(story())
    assert world.runs()[0]["asked_by"] == "startup"
