"""What fails costs nobody else anything: the database, one row, one answer, the client, a listener."""

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from world import Process, World, run, until

from db import store as store_module
from fsm.machine import decide_on
from poller import poller as poller_module


@pytest.fixture(autouse=True)
def quick_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is tried again at once."""
    monkeypatch.setattr(poller_module, "RETRY", 0.01)


def away(*_args: Any, **_kwargs: Any) -> Any:
    """What a database that is away does."""
    raise OperationalError("SELECT 1", {}, Exception("server closed the connection"))


def first(times: int, work: Any, then: Any) -> Any:
    """`work` for the first calls, `then` afterwards."""
    calls = iter([work] * times)

    def called(*args: Any, **kwargs: Any) -> Any:
        return next(calls, then)(*args, **kwargs)

    return called


# --- the database fails ----------------------------------------------------------------------------


def test_while_the_database_cannot_be_read_everything_due_stays_due(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [world.job(percent=30) for _ in range(3)]
    for job in jobs:
        world.vma.run(job, 40)
    monkeypatch.setattr(world.store, "load", first(3, away, world.store.load))

    async def story() -> None:
        async with world.process() as us:
            assert us.schedule == set(jobs)

    with capture_logs() as logs:
        run(story())
    assert [row["progress_percent"] for row in world.rows(jobs)] == [40, 40, 40]
    assert all(row["recovery_attempted"] for row in world.rows(jobs)), "the recovery's questions survived"
    assert world.runs()[0]["outcomes"] == {"running": 3}
    assert sum(line["event"].startswith("database cannot be read") for line in logs) == 3


def test_answers_that_cannot_be_written_are_asked_for_again_and_no_verdict_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, running = world.job(percent=30), world.job(percent=30)
    world.vma.complete(done)
    world.vma.run(running, 40)
    monkeypatch.setattr(world.store, "answer", first(3, away, world.store.answer))

    async def story() -> None:
        async with world.process() as us:
            await us.recovery_over()
            assert us.schedule == {running}

    with capture_logs() as logs:
        run(story())
    assert (world.status(done), world.row(running)["progress_percent"]) == ("completed", 40)
    assert world.runs()[0]["outcomes"] == {"completed_on_vma": 1, "running": 1}
    assert any(line["event"].startswith("answers cannot be written") for line in logs)


# --- one poisonous job -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "poison",
    [
        "rule_memory = '\"nonsense\"'",
        """rule_memory = '{"still": 5}'""",
        "rule_memory = '{broken'",
        "entered_at = 'yesterday'",
        "ending = 'somehow'",
    ],
)
def test_a_row_that_cannot_be_read_costs_only_its_own_job(world: World, poison: str) -> None:
    bad, good = world.job(percent=30), world.job(percent=30)
    for job in (bad, good):
        world.vma.run(job, 40)
    world.sql(f"UPDATE replication_jobs SET {poison} WHERE id = :job", job=bad)  # noqa: S608

    async def story() -> None:
        async with world.process() as us:
            await us.recovery_over()
            assert us.schedule == {good}
            world.vma.run(good, 50)
            await us.monitor.cycle()
            await us.pass_time(6)

    with capture_logs() as logs:
        run(story())
    assert world.row(good)["progress_percent"] == 50
    assert {line["job_id"] for line in logs if line["log_level"] == "error"} == {bad}
    assert world.runs()[0]["outcomes"] == {"left": 1, "running": 1}


def test_a_polling_row_that_cannot_be_read_costs_only_its_own_job(world: World) -> None:
    bad, good = world.job(percent=30), world.job(percent=30)
    for job in (bad, good):
        world.vma.run(job, 40)
    world.sql("UPDATE vma_polling_state SET last_poll_at = 'yesterday' WHERE job_id = :job", job=bad)

    async def story() -> None:
        async with world.process() as us:
            await us.monitor.cycle()
            await us.pass_time(6)
            assert good in us.schedule

    run(story())
    assert world.row(good)["progress_percent"] == 40


@pytest.mark.parametrize("more", [{"throughput_mib_s": 1e300}, {"eta_seconds": 10**30}])
def test_an_answer_with_absurd_numbers_is_taken_as_far_as_it_goes(world: World, more: dict[str, Any]) -> None:
    odd, good = world.job(percent=30), world.job(percent=30)
    world.vma.run(odd, 40, **more)
    world.vma.run(good, 40)

    async def story() -> None:
        async with world.process() as us:
            await us.recovery_over()

    run(story())
    assert [row["progress_percent"] for row in world.rows([odd, good])] == [40, 40]


def test_an_answer_that_the_database_refuses_costs_only_its_own_job(world: World) -> None:
    odd, good = world.job(percent=30, disks=2), world.job(percent=30)
    world.vma.run(odd, 40, phase=object())  # nothing that a column could hold
    world.vma.run(good, 40)

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(60)
            assert us.schedule == {odd, good}
            assert us.recovery.run is None, "a recovery does not wait for it for ever"
            assert len(world.vma.times(odd)) < 30, "it is asked at a bearable pace"
            world.vma.run(odd, 55)
            await us.pass_time(31)

    with capture_logs() as logs:
        run(story())
    assert {line["job_id"] for line in logs if line["log_level"] == "error"} == {odd}
    assert [row["progress_percent"] for row in world.rows([odd, good])] == [55, 40]
    assert world.runs()[0]["outcomes"] == {"left": 1, "running": 1}


def test_a_job_that_cannot_be_judged_costs_only_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    odd, good = world.job(percent=30), world.job(percent=30)
    for job in (odd, good):
        world.vma.run(job, 40)
    judge = decide_on

    def unjust(facts: Any, *args: Any, **kwargs: Any) -> Any:
        if facts.job_id == odd:
            raise ZeroDivisionError
        return judge(facts, *args, **kwargs)

    monkeypatch.setattr(store_module, "decide_on", unjust)

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(30)
            assert us.recovery.run is None
            monkeypatch.setattr(store_module, "decide_on", judge)
            await us.pass_time(31)

    with capture_logs() as logs:
        run(story())
    assert [row["progress_percent"] for row in world.rows([odd, good])] == [40, 40]
    assert {line["job_id"] for line in logs if line["event"].startswith("job could not be judged")} == {odd}


def test_a_client_that_raises_costs_no_job_its_place(world: World) -> None:
    odd, good = world.job(percent=30), world.job(percent=30)
    for job in (odd, good):
        world.vma.run(job, 40)
    world.vma.explode(odd, RuntimeError("a bug"))

    async def story() -> None:
        us = Process(world)
        try:
            us.service.start()
            await until(lambda: world.vma.times(odd) != [] and world.vma.times(good) != [])
            world.vma.defuse(odd)
            await us.pass_time(1)
            await us.recovery_over()
        finally:
            await us.kill()

    with capture_logs() as logs:
        run(story())
    assert [row["progress_percent"] for row in world.rows([odd, good])] == [40, 40]
    assert [line["job_id"] for line in logs if line["event"].startswith("a question failed")] == [odd]
