"""Faults 72 and 73: somebody sets the wall clock. Nothing ends by that alone, and nothing ends too late."""

from datetime import timedelta

import pytest
from model_vma import span
from world import Process, World, run


def set_clock(us: Process, ahead: str) -> None:
    """The wall clock of the machine is set; the monotonic one knows nothing of it."""
    back = ahead.startswith("-")
    us.world.clock.time += -span(ahead[1:]) if back else span(ahead)


@pytest.mark.parametrize("ahead", ["2h", "-1h"])
def test_a_job_in_set_up_has_its_whole_grace_and_no_more(world: World, ahead: str) -> None:
    async def story() -> None:
        async with world.process() as us:
            await us.pass_time("10m")
            job = world.job("attaching", age=0)
            us.service.wake(job)
            await us.pass_time("2m")
            set_clock(us, ahead)
            await us.pass_time(170)
            assert world.status(job) == "attaching"
            await us.pass_time("20s")
            assert world.row(job)["error_message"] == "set-up timed out"

    run(story())


@pytest.mark.parametrize("ahead", ["2h", "-1h"])
def test_a_silent_vma_has_its_half_hour_and_no_more(world: World, ahead: str) -> None:
    async def story() -> None:
        job = world.job(percent=30)
        world.vma.run(job, 30)
        async with world.process() as us:
            await us.pass_time("10m")
            world.vma.reachable = False
            await us.pass_time("10m")
            set_clock(us, ahead)
            await us.pass_time("19m")
            assert world.status(job) == "replicating"
            await us.pass_time("90s")
            assert world.row(job)["error_message"] == "VMA unreachable after restart"

    run(story())


def test_ages_are_never_negative_and_a_copy_goes_on_over_any_step(world: World) -> None:
    async def story() -> None:
        job = world.job(percent=30)
        world.vma.run(job, 30)
        async with world.process() as us:
            for percent, ahead in enumerate(("2h", "-1h", "-3h", "26h", "-24h"), 31):
                set_clock(us, ahead)
                world.vma.run(job, percent)
                await us.pass_time(6)
                assert (world.status(job), world.row(job)["progress_percent"]) == ("replicating", percent)
            world.vma.complete(job)
            await us.pass_time(6)
        assert world.row(job)["ending"] == "confirmed"
        assert [step.after - step.before for step in us.observer.steps] == [
            timedelta(hours=h) for h in (2, -1, -3, 26, -24)
        ]

    run(story())


def test_a_sign_of_life_after_a_step_counts_though_the_clock_then_read_less(world: World) -> None:
    async def story() -> None:
        async with world.process() as us:
            await us.pass_time("10m")
            job = world.job(percent=30, age="1m", heard="30s")
            world.vma.run(job, 30)
            us.service.wake(job)
            await us.pass_time("1m")
            set_clock(us, "-1h")
            await us.pass_time("20m")
            world.vma.reachable = False
            await us.pass_time("29m")
            assert world.status(job) == "replicating"
            await us.pass_time("90s")
            assert world.row(job)["error_message"] == "VMA unreachable after restart"

    run(story())


def test_a_machine_that_starts_with_a_clock_that_is_ahead_makes_no_job_of_before_older(world: World) -> None:
    """Its hardware clock is in local time, and the tunnel is up some minutes later than we are."""

    async def story() -> None:
        job = world.job(percent=30, heard="1m")
        world.vma.run(job, 30)
        world.vma.reachable = False
        world.clock.time += span("2h")
        async with world.process() as us:
            await us.pass_time("10s")
            set_clock(us, "-2h")
            await us.pass_time("5m")
            assert world.status(job) == "replicating"
            await us.pass_time("25m")
            assert world.row(job)["error_message"] == "VMA unreachable after restart"

    run(story())
