"""The health monitor: each kind of drift is found, counted and repaired; what is well is left alone."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from model_vma import Copy
from sqlalchemy import event
from structlog.testing import capture_logs
from world import OPERATOR, Process, World, run

from fsm.states import Event, Verdict
from poller.metrics import Drift


def found(us: Process, look: list[Any]) -> list[tuple[str, Drift]]:
    """What one look found; the gauge agrees with it."""
    assert us.monitor.drift == us.service.metrics.registry.get_sample_value("oma_fsm_drift") == len(look)
    return [(f.job_id, f.kind) for f in look]


def running(world: World, count: int = 1) -> list[str]:
    """Jobs that run."""
    jobs = [world.job(percent=30) for _ in range(count)]
    for job in jobs:
        world.vma.run(job, 40)
    return jobs


# --- nothing wrong ---------------------------------------------------------------------------------


def test_what_is_well_is_left_alone_whatever_its_pace(world: World) -> None:
    world.vma.silence(world.job(percent=30, age="5m", heard=1))
    world.vma.garble(world.job(percent=30), "HTTP 429", retry_after=60.0)
    world.inferred_end(ago="1m")
    world.inferred_end(ago="3h")
    running(world, 2)
    world.store.fire(world.job(percent=30), Event.FAIL, world.clock.time, asked=OPERATOR)

    async def story() -> None:
        async with world.process() as us:
            for _ in range(40):
                await us.pass_time(7)
                assert found(us, await us.monitor.cycle()) == []
            assert (us.monitor.cycles, us.monitor.restarted) == (40, 0)
            assert us.monitor.last_cycle_at == world.clock.time
            age = us.service.metrics.registry.get_sample_value("oma_fsm_monitor_last_cycle_timestamp_seconds")
            assert age == world.clock.time.timestamp()

    run(story())


def test_a_look_costs_a_handful_of_statements_however_many_jobs_there_are(world: World) -> None:
    [job] = running(world)
    world.clone(job, 300)
    statements: list[str] = []

    async def story() -> None:
        async with world.process() as us:
            await us.monitor.cycle()  # the first of an hour also prunes
            event.listen(world.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
            assert await us.monitor.cycle() == []

    run(story())
    assert 1 <= len([s for s in statements if not s.startswith("BEGIN")]) <= 3


# --- drift -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("late", "kinds"), [(25.0, []), (25.2, [Drift.OVERDUE])])
def test_a_job_that_nobody_takes_is_overdue_ten_seconds_and_three_intervals_past_its_time(
    world: World, late: float, kinds: list[Drift]
) -> None:
    [job] = running(world)

    async def story() -> None:
        async with world.process() as us:
            for task in us.service._tasks:
                task.cancel()  # the loop that takes what is due hangs
            await asyncio.gather(*us.service._tasks, return_exceptions=True)
            world.clock.advance(5 + late)
            assert [kind for _, kind in found(us, await us.monitor.cycle())] == kinds
            assert us.monitor.counts[Drift.OVERDUE] == us.monitor.restarted == len(kinds)

    run(story())
    assert len(world.vma.times(job)) == 1


@pytest.mark.parametrize(("late", "kinds"), [(190.0, []), (190.2, [Drift.OVERDUE])])
def test_a_watched_end_is_overdue_by_its_own_slow_pace(world: World, late: float, kinds: list[Drift]) -> None:
    world.inferred_end(ago="3h")

    async def story() -> None:
        async with world.process() as us:
            us.poller.schedule.take_due(us.observer.uptime() + 60)  # its question is lost
            world.clock.advance(60 + late)
            assert [kind for _, kind in found(us, await us.monitor.cycle())] == kinds

    run(story())


def test_a_lost_question_is_put_again_once(world: World) -> None:
    job, other = running(world, 2)

    async def story() -> None:
        async with world.process() as us:
            us.poller.drop(other)
            assert us.poller.schedule.take_due(us.observer.uptime() + 5) != []  # taken, and nobody asks
            world.clock.advance(40)
            world.vma.run(job, 70)
            assert set(found(us, await us.monitor.cycle())) == {(job, Drift.OVERDUE), (other, Drift.MISSING)}
            await us.settle()
            assert found(us, await us.monitor.cycle()) == []
            assert us.monitor.restarted == 2
            await us.pass_time(11)

    with capture_logs() as logs:
        run(story())
    assert world.row(job)["progress_percent"] == 70
    assert world.vma.most_at_once[job] == 1
    assert len(world.vma.times(job)) == 4
    warned = [line for line in logs if line["event"] == "Found job not being polled - restarting"]
    assert {(line["job_id"], line["kind"]) for line in warned} == {(job, "overdue"), (other, "missing")}


def test_a_question_that_the_client_still_holds_is_not_put_a_second_time(world: World) -> None:
    """Behind a slow VMA questions queue in the client: more of them would only make the queue longer."""
    [job] = running(world)

    async def story() -> None:
        async with world.process() as us:
            world.vma.hold(job)
            for _ in range(5):
                await us.pass_time(60)
                assert found(us, await us.monitor.cycle()) == []
            world.sql("UPDATE vma_polling_state SET is_active = 0 WHERE job_id = :job", job=job)
            assert found(us, await us.monitor.cycle()) == [(job, Drift.MISSING)]
            entry = us.poller.schedule.get(job)
            assert entry is not None
            assert entry.in_flight_since is not None
            assert entry.again, "its turn comes after the answer"
            world.vma.release(job)
            await us.settle()

    run(story())
    assert world.vma.most_at_once[job] == 1


@pytest.mark.parametrize(("late", "kinds"), [(60.0, []), (60.1, [Drift.UNCLAIMED])])
def test_a_job_that_by_its_row_should_have_been_asked_a_minute_ago_is_asked(
    world: World, late: float, kinds: list[Drift]
) -> None:
    [job] = running(world)

    async def story() -> None:
        async with world.process() as us:
            long_ago = world.clock.time - timedelta(seconds=late)
            world.sql("UPDATE vma_polling_state SET next_due_at = :at", at=long_ago.replace(tzinfo=None).isoformat(" "))
            assert [kind for _, kind in found(us, await us.monitor.cycle())] == kinds
            await us.settle()
            assert len(world.vma.times(job)) == 1 + len(kinds), "at once"
            assert us.monitor.counts[Drift.UNCLAIMED] == len(kinds)

    run(story())


def test_a_ghost_is_dropped_and_counted_but_not_as_polling_restarted(world: World) -> None:
    over, alive = running(world, 2)

    async def story() -> None:
        async with world.process() as us:
            world.hear(over, Copy(Verdict.COMPLETED, 100.0))  # another process heard it first
            us.poller.put("nobody-knows-it", delay=1000.0)
            ghosts = {(over, Drift.GHOST), ("nobody-knows-it", Drift.GHOST)}
            assert set(found(us, await us.monitor.cycle())) == ghosts
            assert us.monitor.counts[Drift.GHOST] == 2
            assert us.schedule == {alive}
            assert us.monitor.restarted == 0
            sample = us.service.metrics.registry.get_sample_value
            assert sample("oma_fsm_orphans_detected_total", {"kind": "ghost"}) == 2
            assert sample("oma_fsm_polling_restarted_total") == 0

    with capture_logs() as logs:
        run(story())
    assert {line["job_id"] for line in logs if line.get("kind") == "ghost"} == {over, "nobody-knows-it"}


def test_a_job_in_set_up_and_a_watched_end_are_missed_as_well(world: World) -> None:
    jobs = {world.job("attaching", age="1m"), world.inferred_end()}

    async def story() -> None:
        async with world.process() as us:
            for job in jobs:
                us.poller.drop(job)
            assert set(found(us, await us.monitor.cycle())) == {(job, Drift.MISSING) for job in jobs}
            assert us.schedule == jobs

    run(story())
