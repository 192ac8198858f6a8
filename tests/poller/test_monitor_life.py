"""The health monitor among others: what changes while it looks, what fails, what it tidies up."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from model_vma import Copy
from structlog.testing import capture_logs
from world import Process, World, run, until

from db.load import PolledJob
from fsm.policy import RecoveryPolicy
from fsm.states import Verdict
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


# --- what changes while it looks -------------------------------------------------------------------


def look_and(world: World, then: Callable[[], object]) -> Callable[[], list[PolledJob]]:
    """The monitor's query, and something that happens right after it."""
    query = world.store.polled_jobs

    def looked() -> list[PolledJob]:
        jobs = query()
        then()
        return jobs

    return looked


def test_a_job_that_ends_between_look_and_repair_is_not_revived(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    [job] = running(world)

    async def story() -> None:
        async with world.process() as us:
            us.poller.drop(job)
            end = look_and(world, lambda: world.hear(job, Copy(Verdict.COMPLETED, 100.0)))
            monkeypatch.setattr(world.store, "polled_jobs", end)
            assert found(us, await us.monitor.cycle()) == []
            assert us.schedule == set()

    run(story())
    assert not world.row(job)["polling_is_active"]
    assert world.status(job) == "completed"


def test_a_job_that_is_born_while_the_monitor_looks_is_no_ghost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    born: list[str] = []

    async def story() -> None:
        async with world.process() as us:
            loop = asyncio.get_running_loop()

            def birth() -> None:
                born.append(world.create("new").after.job_id)
                waking = asyncio.run_coroutine_threadsafe(wake(), loop)
                waking.result(5)

            async def wake() -> None:
                us.service.wake(born[0])

            monkeypatch.setattr(world.store, "polled_jobs", look_and(world, birth))
            assert found(us, await us.monitor.cycle()) == []
            await us.settle()
            assert us.schedule == set(born)

    run(story())
    assert len(world.vma.times(born[0])) == 1


# --- its own life ----------------------------------------------------------------------------------


def test_a_look_that_fails_does_not_end_the_monitor(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(url, RecoveryPolicy(monitor_interval=timedelta(milliseconds=5)))
    [job] = running(world)
    looks, failures = world.store.polled_jobs, [ConnectionError("database is away")] * 3

    def unsteady() -> list[PolledJob]:
        if failures:
            raise failures.pop()
        return looks()

    async def story() -> None:
        async with world.process() as us:
            monkeypatch.setattr(world.store, "polled_jobs", unsteady)
            await until(lambda: not failures)
            us.poller.drop(job)
            await until(lambda: us.schedule == {job})

    with capture_logs() as logs:
        run(story())
    world.engine.dispose()
    assert sum(line["event"].startswith("health monitor could not look") for line in logs) == 3


def test_history_that_cannot_be_pruned_hides_nothing_that_was_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    [job] = running(world)

    def locked(_now: object) -> int:
        raise ConnectionError("database is locked")

    async def story() -> None:
        async with world.process() as us:
            us.poller.drop(job)
            monkeypatch.setattr(world.store, "prune", locked)
            with pytest.raises(ConnectionError):
                await us.monitor.cycle()
            assert us.monitor.counts[Drift.MISSING] == us.monitor.restarted == us.monitor.cycles == 1

    run(story())


def test_the_poll_history_is_bounded_the_newest_stay(world: World) -> None:
    [long, short] = running(world, 2)
    for job, count in ((long, 700), (short, 20)):
        world.sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
            "INSERT INTO vma_poll_history (job_id, at, verdict, percent) "
            "SELECT :job, '2026-03-01 00:00:00', 'running', i FROM n",
            job=job, count=count,
        )  # fmt: skip
    before = len(world.polls(short))

    async def story() -> None:
        async with world.process() as us:
            await us.monitor.cycle()

    run(story())
    kept = world.polls(long)
    assert len(kept) == 500
    assert kept[0]["verdict"] == "running"
    assert kept[0]["percent"] == 40, "this process's own answer"
    assert [p["percent"] for p in kept[1:4]] == [700, 699, 698]
    assert len(world.polls(short)) == before + 1
