"""Appliances over REST: how each is, and pausing one."""

import asyncio
from collections.abc import Callable

from api_stage import JOBS, Stage, StubVma, new_job

from db import appliances
from db.appliances import Appliance
from db.engine import write

Play = Callable[..., None]
PATH = "/api/v1/appliances"
POLLING = "/api/v1/vma-polling/status"


async def second(on: Stage, url: str) -> None:
    """Another appliance, added by the command, and noticed."""
    with write(on.service.engine) as connection:
        appliances.add(connection, Appliance("vma-2", url), on.clock())
    await on.service.appliances.look()


def test_each_appliance_says_how_it_is(play: Play) -> None:
    async def story(on: Stage) -> None:
        (before,) = (await on.get(PATH))["items"]
        assert (before["name"], before["url"], before["reachable"]) == ("default", on.vma.url, None)
        await on.running()
        (after,) = (await on.get(PATH))["items"]
        assert (after["reachable"], after["generation"], after["in_flight_limit"]) == (True, "envelope", 8)
        assert after["last_heard_at"] is not None

    play(story)


def test_a_job_is_polled_at_its_own_appliance(play: Play) -> None:
    async def story(on: Stage) -> None:
        async with StubVma().listening() as other:
            await second(on, other.url)
            job_id = await on.create(appliance="vma-2")
            await on.until(job_id, lambda job: job["polling"]["last_poll_at"] is not None)
            assert (await on.job(job_id))["appliance"] == "vma-2"
            assert (job_id in other.asked, job_id in on.vma.asked) == (True, False)
            refused = await on.post(JOBS, new_job("web-02") | {"appliance": "vma-9"}, 404)
            assert refused == {"error": "not_found", "message": "no appliance 'vma-9'"}

    play(story)


def test_of_several_polling_names_the_one_that_does_not_answer_whoever_was_asked_last(play: Play) -> None:
    async def story(on: Stage) -> None:
        async with StubVma().listening() as other:
            await second(on, other.url)
            there = await on.create("web-02", appliance="vma-2")
            await on.until(there, lambda job: job["polling"]["last_poll_at"] is not None)
            vma = (await on.get(POLLING))["vma"]
            assert (vma["appliance"], vma["url"], vma["healthy"]) == ("vma-2", other.url, True), "nobody else was asked"
            other.down = True
            on.service.polling.wake(there)
            await on.until(there, lambda job: job["polling"]["consecutive_errors"] > 0)
            await on.running("web-01")
            vma = (await on.get(POLLING))["vma"]
            assert (vma["appliance"], vma["url"], vma["healthy"]) == ("vma-2", other.url, False)
            assert vma["last_error"] is not None
            await on.post(f"{PATH}/vma-2/pause")
            vma = (await on.get(POLLING))["vma"]
            assert (vma["appliance"], vma["url"], vma["healthy"]) == ("default", on.vma.url, True)

    play(story)


def test_a_paused_appliance_is_asked_again_when_it_is_resumed(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.running()
        paused = await on.post(f"{PATH}/default/pause")
        assert paused == {"name": "default", "paused": True, "waiting_jobs": 1}
        assert [item["paused"] for item in (await on.get(PATH))["items"]] == [True]
        polled = next(c for c in (await on.job(job_id))["conditions"] if c["name"] == "Polled")
        assert polled["reason"] == "its appliance default is paused"
        on.vma.asked.clear()
        on.service.polling.wake(job_id)
        await asyncio.sleep(0.1)  # a question would be there by now
        assert on.vma.asked == []
        assert (await on.post(f"{PATH}/default/resume"))["paused"] is False
        polls = (await on.job(job_id))["polling"]["total_polls"]
        on.service.polling.wake(job_id)
        await on.until(job_id, lambda job: job["polling"]["total_polls"] > polls)
        missing = await on.post(f"{PATH}/vma-9/pause", code=404)
        assert missing["message"] == "no appliance 'vma-9'"

    play(story)
