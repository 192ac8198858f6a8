"""What the operator of the simulator can do to a copy."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from simulator_support import MIB, PLAN, SPEED, Posts, words

from vma.simulator.hub import Copies, NoSuchCopyError, WrongStateError
from vma.simulator.plans import NbdTarget, Plan, ReplicateRequest
from vma.simulator.state import StateFile
from vma.simulator.wire import ProgressUpdate


def with_copies(story: Callable[[Copies, Posts], Awaitable[None]], plan: Plan = PLAN) -> None:
    async def told() -> None:
        posts: Posts = []
        copies = Copies(lambda *post: posts.append(post), time.time, SPEED, plan, StateFile(None))
        try:
            await story(copies, posts)
        finally:
            await copies.close()

    asyncio.run(told())


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.002)


SLOW = PLAN.model_copy(update={"rate_mib_s": 0.1})
REQUEST = ReplicateRequest(
    job_id="job-a",
    nbd_targets=[NbdTarget(disk_id="disk-2000", size_bytes=600 * MIB), NbdTarget(disk_id="disk-2001")],
)


async def copying(copies: Copies, posts: Posts) -> None:
    copies.start(REQUEST)
    await until(lambda: any(update.bytes_transferred for _, update in posts))


def test_a_hung_copy_is_silent_and_goes_on_where_it_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    real, ahead = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])

    async def story(copies: Copies, posts: Posts) -> None:
        await copying(copies, posts)
        await copies.hang("job-a")
        said, at_hang = len(posts), copies.view("job-a").bytes_transferred
        await asyncio.sleep(20 / SPEED)  # twenty posts' worth of silence
        assert len(posts) == said
        assert copies.view("job-a").state == "hung"
        ahead[0] = 3600  # long enough for all of it, had it gone on
        await copies.resume("job-a")
        await until(lambda: len(posts) > said)
        assert 0 <= posts[-1][1].bytes_transferred - at_hang < 300 * MIB
        assert copies.view("job-a").state == "running"

    with_copies(story, SLOW)


def test_a_failed_copy_says_so_without_a_reason_and_ends() -> None:
    async def story(copies: Copies, posts: Posts) -> None:
        await copying(copies, posts)
        await copies.fail("job-a", "datastore lost")
        assert posts[-1] == ("job-a", ProgressUpdate("Transfer", "failed", disk_id="disk-2000"))
        view = copies.view("job-a")
        assert (view.state, view.why, view.disk) == ("failed", "datastore lost", "disk-2000")
        with pytest.raises(WrongStateError, match="is failed"):
            await copies.resume("job-a")

    with_copies(story, SLOW)


def test_a_killed_copy_says_nothing() -> None:
    async def story(copies: Copies, posts: Posts) -> None:
        await copying(copies, posts)
        before = len(posts)
        await copies.kill("job-a")
        assert copies.view("job-a").state == "killed"
        assert len(posts) == before

    with_copies(story, SLOW)


def test_a_copy_told_to_finish_does_all_disks_at_once() -> None:
    async def story(copies: Copies, posts: Posts) -> None:
        await copying(copies, posts)
        await copies.finish("job-a")
        await until(lambda: copies.view("job-a").state == "finished")
        assert words(posts)[-3:] == [
            "disk-2000 Transfer completed",
            "disk-2001 Transfer in_progress",
            "disk-2001 Transfer completed",
        ]

    with_copies(story, SLOW)


def test_a_second_start_replaces_the_first_run() -> None:
    async def story(copies: Copies, posts: Posts) -> None:
        await copying(copies, posts)
        posts.clear()
        copies.start(REQUEST)
        await until(lambda: any(update.bytes_transferred for _, update in posts))
        assert words(posts)[:5] == [  # nothing of the first run's disk in between
            "job-a Initializing in_progress",
            "job-a Creating Snapshot in_progress",
            "job-a Setting up NBD in_progress",
            "job-a Preparing Migration in_progress",
            "disk-2000 Transfer in_progress",
        ]
        assert len(copies.views()) == 1

    with_copies(story, SLOW)


def test_a_command_for_an_unknown_copy_says_where_to_look() -> None:
    async def story(copies: Copies, posts: Posts) -> None:
        with pytest.raises(NoSuchCopyError, match="GET /control/copies"):
            await copies.hang("job-unknown")
        assert posts == []

    with_copies(story)
