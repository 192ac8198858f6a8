"""Recovery: every active job is looked at at once, one run at a time, and the run says what came of it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs
from world import OPERATOR, STARTUP, TRIGGER, World, run, until

from db.errors import RecoveryRunningError
from fsm.facts import Asked
from fsm.policy import RecoveryPolicy
from fsm.states import Event
from poller import poller as poller_module
from poller.recovery import Run


@pytest.fixture(autouse=True)
def quick_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came to nothing is tried again at once."""
    monkeypatch.setattr(poller_module, "RETRY", 0.01)


@pytest.mark.parametrize("count", [0, 1, 11, 500])
def test_every_job_is_scheduled_and_looked_at_the_eleventh_is_not_special(world: World, count: int) -> None:
    jobs = world.clone(world.job(percent=30), count - 1) if count > 1 else []
    jobs += [world.job(percent=30)] if count == 1 else []
    world.sql("DELETE FROM replication_jobs WHERE id NOT IN (SELECT job_id FROM vma_polling_state)")
    every = [row.job_id for row in world.store.polled_jobs()]
    assert len(every) == count
    for job in every:
        world.vma.run(job, 40)

    async def story() -> None:
        async with world.process() as us:
            assert us.recovery.finished.is_set()
            assert us.schedule == set(every)

    run(story())
    [record] = world.runs()
    assert (record["jobs"], record["looked_at"]) == (count, count)
    assert record["outcomes"] == ({"running": count} if count else {})
    assert record["finished_at"] == world.clock.time
    assert {row["progress_percent"] for row in world.rows(every)} <= {40}
    assert all(row["recovery_attempted"] for row in world.rows(every))


def test_the_record_counts_the_jobs_by_what_came_of_them(world: World) -> None:
    world.vma.run(world.job(percent=30), 40)
    world.vma.run(world.job("attaching"), 1)
    world.vma.complete(world.job(percent=90))
    world.vma.fail(world.job(percent=30))
    world.vma.silence(world.job(percent=30, age="5m", heard="4m"))
    world.vma.garble(world.job(percent=30))
    world.vma.unsettle(world.job(percent=30), 50)
    world.job(percent=30)
    world.vma.run(world.inferred_end(), 60)
    world.vma.silence(world.inferred_end())

    async def story() -> None:
        async with world.process():
            pass

    run(story())
    [record] = world.runs()
    assert (record["jobs"], record["looked_at"]) == (10, 10)
    assert record["outcomes"] == {
        "running": 3,
        "completed_on_vma": 1,
        "failed_on_vma": 1,
        "waiting_unreachable": 2,
        "waiting_unintelligible": 1,
        "waiting_unsettled": 1,
        "waiting_not_found": 1,
    }


def test_an_end_by_inference_is_counted_as_one(url: str) -> None:
    world = World(url, RecoveryPolicy(inference_ripe=timedelta(seconds=58)))
    world.job(percent=30)
    world.job(percent=92)

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(58.5)
            await us.recovery.start(TRIGGER)
            await us.recovery_over()

    run(story())
    triggered, _startup = world.runs()
    assert (triggered["outcomes"], triggered["actor"]) == ({"ended_by_inference": 2}, "anna")
    world.engine.dispose()


def test_recovery_marks_every_job_that_it_looked_at_and_no_job_that_is_over(world: World) -> None:
    absent, silent, over = world.job(percent=30), world.job(percent=30, heard=1), world.job(percent=30)
    world.vma.silence(silent)
    world.store.fire(over, Event.FAIL, world.clock.time, asked=OPERATOR)

    async def story() -> None:
        async with world.process() as us:
            assert us.schedule == {absent, silent}

    run(story())
    for job in (absent, silent):
        row = world.row(job)
        assert (row["recovery_attempted"], row["recovery_attempted_at"]) == (True, world.clock.time)
        assert row["recovery_method"] is None, "nothing was decided"
        assert row["polling_restarted_at"] == world.clock.time
    assert not world.row(over)["recovery_attempted"]


# --- one at a time ---------------------------------------------------------------------------------


def test_a_second_trigger_is_refused_with_the_number_of_the_run_that_goes_on(world: World) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 40)
    world.vma.hold(job)

    async def story() -> None:
        async with world.process() as us:
            with pytest.raises(RecoveryRunningError, match="recovery run 1 is under way") as refusal:
                await us.recovery.start(TRIGGER)
            assert refusal.value.run_id == 1
            world.vma.release(job)
            await us.recovery_over()
            assert (await us.recovery.start(TRIGGER)).run_id == 2
            await us.recovery_over()

    run(story())
    assert [r["asked_by"] for r in world.runs()] == ["trigger", "startup"]
    assert all(r["finished_at"] for r in world.runs())


def test_of_two_triggers_at_once_one_is_refused_and_told_the_other_s_id(world: World) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 40)

    async def story() -> None:
        async with world.process() as us:
            world.vma.hold(job)
            both = await asyncio.gather(*(us.recovery.start(TRIGGER) for _ in range(2)), return_exceptions=True)
            began, refused = both
            assert isinstance(began, Run)
            assert isinstance(refused, RecoveryRunningError)
            assert (began.run_id, refused.run_id, refused.where) == (2, 2, None)
            world.vma.release(job)
            await us.recovery_over()

    run(story())
    assert len(world.runs()) == 2


def test_one_that_is_triggered_before_that_of_the_start_goes_on_and_the_start_s_comes_after(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start closes what killed processes left open: not what this one has just begun."""
    job = world.job(percent=30)
    world.vma.run(job, 40)
    world.vma.hold(job)
    refused: list[Asked] = []

    async def story() -> None:
        async with world.process(started=False) as us:
            begin = us.recovery.start

            async def start(asked: Asked) -> Run:
                try:
                    return await begin(asked)
                except RecoveryRunningError:
                    refused.append(asked)
                    raise

            monkeypatch.setattr(us.recovery, "start", start)
            us.service.start()
            await begin(TRIGGER)
            await until(lambda: refused == [STARTUP])
            [going_on] = world.runs()
            assert (going_on["asked_by"], going_on["finished_at"]) == ("trigger", None)
            world.vma.release(job)
            await until(lambda: len(world.runs()) == 2)
            await us.recovery_over()

    with capture_logs() as logs:
        run(story())
    assert refused == [STARTUP]
    assert [(r["asked_by"], r["outcomes"]) for r in world.runs()] == [
        ("startup", {"running": 1}),
        ("trigger", {"running": 1}),
    ]
    assert not [line for line in logs if line["log_level"] == "error"]


def test_how_far_a_run_has_come_is_recorded_each_second_while_it_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other replicas show it from there, and it is what a killed process leaves behind."""
    monkeypatch.setattr("poller.recovery.RECORD_EVERY", 3600.0)
    jobs = [world.job(percent=30) for _ in range(4)]
    for job in jobs:
        world.vma.run(job, 40)
        world.vma.hold(job)
    recorded: list[tuple[int, Any, bool]] = []

    async def story() -> None:
        async with world.process() as us:
            for job, hours in zip(jobs, (0.6, 0.6, 0.6, 0.0), strict=True):
                world.clock.advance(hours * 3600)
                world.vma.release(job)
                await us.settle()
                [record] = world.runs()
                recorded.append((record["looked_at"], record["outcomes"], record["finished_at"] is not None))

    run(story())
    assert recorded == [
        (0, None, False),
        (2, {"running": 2}, False),
        (2, {"running": 2}, False),
        (4, {"running": 4}, True),
    ]


def test_what_is_heard_right_after_a_record_is_recorded_although_the_next_answer_is_long_in_coming(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poller.recovery.RECORD_EVERY", 0.01)
    quick, hung = world.job(percent=30), world.job(percent=30)
    world.vma.run(quick, 40)
    world.vma.hold(hung)

    async def story() -> None:
        async with world.process():
            await until(lambda: world.runs()[0]["looked_at"] == 1)

    run(story())
    [record] = world.runs()
    assert (record["outcomes"], record["finished_at"]) == ({"running": 1}, None)


@pytest.mark.parametrize("ends", ["by itself", "by a stop"])
def test_nothing_is_recorded_of_a_run_once_it_is_over(world: World, monkeypatch: pytest.MonkeyPatch, ends: str) -> None:
    monkeypatch.setattr("poller.recovery.RECORD_EVERY", 3600.0)
    quick, hung = world.job(percent=30), world.job(percent=30)
    world.vma.run(quick, 40)
    world.vma.hold(hung)

    async def story() -> None:
        async with world.process() as us:
            next_record = us.recovery._next_record
            assert next_record is not None
            if ends == "by itself":
                world.vma.release(hung)
                await us.recovery_over()
            else:
                await us.recovery.flush()
            assert next_record.cancelled()

    run(story())
    assert world.runs()[0]["looked_at"] == (2 if ends == "by itself" else 1)


def test_a_run_that_could_not_be_opened_stands_in_nobody_s_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: Any) -> int:
        raise ConnectionError("database is away")

    async def story() -> None:
        async with world.process() as us:
            with monkeypatch.context() as broken:
                broken.setattr(world.store, "open_run", away)
                with pytest.raises(ConnectionError):
                    await us.recovery.start(TRIGGER)
                assert us.recovery.finished.is_set(), "nothing goes on that somebody could wait for"
            await us.recovery.start(TRIGGER)
            await us.recovery_over()

    run(story())
    assert len(world.runs()) == 2


def test_a_run_whose_record_cannot_be_written_is_over_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: Any) -> None:
        raise ConnectionError("database is away")

    def not_recorded() -> list[Any]:
        return [
            line["run_id"]
            for line in logs
            if line["event"] == "A recovery run could not be recorded; that is tried again"
        ]

    async def story() -> None:
        monkeypatch.setattr(world.store, "note_run", away)
        monkeypatch.setattr("poller.recovery.RECORD_AGAIN", (3600.0,))
        monkeypatch.setattr("poller.recovery.LAST_RECORD", 0.01)
        async with world.process(started=False) as us:
            await us.recovery.start(TRIGGER)
            assert us.recovery.finished.is_set()
            await until(lambda: not_recorded() == [1])
            assert (await us.recovery.start(TRIGGER)).run_id == 2
            await until(lambda: not_recorded() == [1, 2])

    with capture_logs() as logs:
        run(story())
    assert [row["finished_at"] for row in world.runs()] == [None, None]


def test_a_record_that_could_not_be_written_at_first_is_written_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`oma-fsm recover` waits for it."""
    note_run, failing = world.store.note_run, [ConnectionError("database is away")] * 2

    def away_twice(*values: Any) -> None:
        if failing:
            raise failing.pop()
        note_run(*values)

    async def story() -> None:
        monkeypatch.setattr(world.store, "note_run", away_twice)
        monkeypatch.setattr("poller.recovery.RECORD_AGAIN", (0.0,))
        async with world.process() as us:
            await us.recovery_over()

    run(story())
    assert world.runs()[0]["finished_at"] is not None


def test_a_stop_does_not_wait_for_another_try_of_a_record(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: Any) -> None:
        raise ConnectionError("database is away")

    async def story() -> None:
        monkeypatch.setattr(world.store, "note_run", away)
        monkeypatch.setattr("poller.recovery.RECORD_AGAIN", (3600.0,))
        monkeypatch.setattr("poller.recovery.LAST_RECORD", 0.01)
        async with world.process(started=False) as us:
            await us.recovery.start(TRIGGER)
            await us.recovery.flush()
            assert us.recovery._recording == set()

    run(story())
