"""Restarts and outages of every length: nobody fails by them alone."""

import pytest
from model_vma import Copy, span
from world import World, run

from fsm.states import Verdict


@pytest.mark.parametrize(
    ("state", "grace"), [("initializing", 300), ("attaching", 300), ("configuring", 300), ("ready_for_sync", 120)]
)
def test_a_set_up_job_fails_only_when_its_grace_has_passed_since_our_start(
    world: World, state: str, grace: float
) -> None:
    job = world.job(state, age="2h")

    async def story() -> None:
        async with world.process() as us:
            assert world.status(job) == state
            await us.pass_time(grace - 6)
            assert world.status(job) == state
            await us.pass_time(12)
            assert world.status(job) == "failed"

    run(story())
    row = world.row(job)
    assert (row["ending"], row["error_message"]) == ("inferred", "set-up timed out")
    assert world.context(job)["current_job_id"] is None


@pytest.mark.parametrize("state", ["initializing", "attaching", "configuring", "ready_for_sync", "replicating"])
def test_every_active_state_is_found_and_a_copy_that_runs_is_followed(world: World, state: str) -> None:
    job = world.job(state, age="20m")
    world.vma.run(job, 12)

    async def story() -> None:
        async with world.process() as us:
            assert us.schedule == {job}

    run(story())
    row = world.row(job)
    assert (row["status"], row["progress_percent"], row["recovery_method"]) == ("replicating", 12, "vma_validated")


def test_a_host_that_was_down_for_45_minutes_and_a_tunnel_that_comes_20_seconds_later_fail_nobody(world: World) -> None:
    jobs = [world.job(percent=30), world.job("ready_for_sync"), world.job(percent=99)]
    world.clock.advance("45m")
    world.vma.reachable = False

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(20)
            world.vma.reachable = True
            for job in jobs:
                world.vma.run(job, 50)
            await us.pass_time(31)

    run(story())
    assert {row["status"] for row in world.rows(jobs)} == {"replicating"}
    assert not any("silent" in world.moves(job) for job in jobs)


def test_an_outage_of_25_seconds_fails_nobody(world: World) -> None:
    jobs = [world.job(percent=30, heard=1), world.job("attaching", age="1m"), world.job(percent=30, heard="40m")]
    for job in jobs:
        world.vma.run(job, 30)

    async def story() -> None:
        async with world.process() as us:
            world.vma.reachable = False
            await us.pass_time(25)
            errors = [row["polling_consecutive_errors"] for row in world.rows(jobs)]
            assert errors == [2, 2, 2], "5 s, then 10 s apart"
            world.vma.reachable = True
            await us.pass_time(31)

    run(story())
    assert {row["status"] for row in world.rows(jobs)} == {"replicating"}
    assert {row["polling_consecutive_errors"] for row in world.rows(jobs)} == {0}


@pytest.mark.parametrize("step", ["2h", "-1h"])
def test_a_wall_clock_that_is_set_fails_nobody_and_stops_no_polling(world: World, step: str) -> None:
    jobs = [world.job(percent=30), world.job("attaching", age="1m"), world.job(percent=30, heard="5m")]
    world.vma.run(jobs[0], 30)
    world.vma.silence(jobs[2])

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(6)
            world.clock.time += span(step)
            await us.monitor.cycle()
            await us.pass_time(20)
            assert us.schedule == set(jobs)
            assert len(world.vma.times(jobs[0])) >= 5

    run(story())
    assert [row["status"] for row in world.rows(jobs)] == ["replicating", "attaching", "replicating"]


def test_twenty_restarts_five_seconds_apart_neither_fail_nor_count_anything_twice(world: World) -> None:
    job, lost = world.job(percent=30), world.job(percent=30)
    world.vma.run(job, 35)

    async def story() -> None:
        for _ in range(20):
            async with world.process() as us:
                await us.pass_time(5)

    run(story())
    assert (world.status(job), world.status(lost)) == ("replicating", "replicating")
    assert world.moves(job) == world.moves(lost) == ["create", "attach", "configure", "ready", "start"]
    assert world.context(job)["total_jobs_run"] == 1
    assert len(world.runs()) == 20


def test_a_slow_answer_from_before_the_end_is_ignored(world: World) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 31)

    async def story() -> None:
        async with world.process() as us:
            world.vma.hold(job)
            await us.pass_time(6)
            assert world.vma.under_way[job] == 1
            world.hear(job, Copy(Verdict.COMPLETED, 100.0))  # another process of ours was faster
            world.vma.release(job)
            await us.pass_time(2)
            assert us.schedule == set()

    run(story())
    row = world.row(job)
    assert (row["status"], row["ending"], row["progress_percent"]) == ("completed", "confirmed", 100)
    assert world.moves(job)[-1] == "done"
    assert world.context(job)["current_job_id"] is None
