"""What a program that embeds the service is told of how one job is polled."""

from datetime import timedelta

import pytest
from world import Process, World, run

from db.errors import NotFoundError
from poller.ownership import SoleOwnership
from poller.status import JobPollingStatus


def test_it_says_how_polling_goes_and_how_the_vma_is(world: World) -> None:
    job = world.job(percent=30, age="1h")
    world.vma.run(job, 40)
    told: list[JobPollingStatus] = []

    async def story() -> Process:
        async with world.process() as us:
            told.append(await us.service.polling_status(job))
            world.vma.silence(job, "connection reset")
            await us.pass_time(11)
            told.append(await us.service.polling_status(job))
            await us.service.stop()
            told.append(await us.service.polling_status(job))
            return us

    us = run(story())
    good, silent, stopped = told
    assert (good.is_polling, good.is_polled, good.is_active, good.vma_reachable) == (True, True, True, True)
    assert (good.total_polls, good.success_rate, good.last_verdict) == (2, 100.0, "running")
    assert good.started_polling_at is not None
    assert good.next_due_at == (good.last_poll_at or world.clock.time) + timedelta(seconds=5)
    assert timedelta(hours=1) <= good.job_age < timedelta(hours=1, minutes=1)
    assert (silent.consecutive_errors, silent.last_error, silent.vma_reachable) == (1, "connection reset", False)
    assert (silent.total_polls, silent.successful_polls, silent.last_poll_at) == (3, 2, good.last_poll_at)
    assert (silent.polled_by, stopped.is_active) == (us.observer.id, True)


def test_a_job_that_is_over_is_not_polled_and_an_unknown_one_is_an_error(world: World) -> None:
    job = world.job(percent=30)
    world.vma.complete(job)

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(1)
            over = await us.service.polling_status(job)
            assert (over.is_polling, over.is_polled, over.is_active, over.next_due_at) == (False, False, False, None)
            with pytest.raises(NotFoundError):
                await us.service.polling_status("unknown")

    run(story())


def test_a_job_of_another_replica_is_polled_though_not_here(world: World) -> None:
    class Others(SoleOwnership):
        def owns(self, job_id: str) -> bool:  # noqa: ARG002
            return False

        def elsewhere(self, job_id: str) -> bool:  # noqa: ARG002
            return True

    job = world.job(percent=30)

    async def story() -> None:
        async with world.process(started=False, ownership=Others()) as us:
            status = await us.service.polling_status(job)
            assert (status.is_polling, status.is_polled) == (False, True)

    run(story())
