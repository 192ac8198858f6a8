"""A replica asks about its own jobs, once about what happened to others' here, and loses nothing when shares move."""

from collections.abc import Collection
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs
from world import STARTUP, TRIGGER, Process, World, run, until

from db.errors import RecoveryRunningError
from fsm.facts import Asked
from fsm.states import Event
from poller.metrics import Drift
from poller.ownership import Change


class Jobs:
    """Ownership job by job, as the test says. `taken` is what the next look finds."""

    shared = True

    def __init__(self, *mine: str, polls: bool = True) -> None:
        self.polls = polls
        self.mine: set[str] = set()
        self.taken = set(mine)
        self.left = False
        self.nobody_s: set[str] = set()
        self.others_living: list[str] = []

    def owns(self, job_id: str) -> bool:
        return job_id in self.mine

    def elsewhere(self, job_id: str) -> bool:
        return job_id not in self.mine | self.nobody_s

    async def look(self) -> Change:
        before, self.mine = self.mine, set(self.taken)
        gained, lost = self.mine - before, before - self.mine
        return Change(frozenset(range(len(gained))), frozenset(range(len(lost))), len(self.mine))

    async def leave(self) -> None:
        self.left, self.mine = True, set()

    def living(self) -> Collection[str]:
        return self.others_living


@pytest.fixture(autouse=True)
def turns_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop looks once, at the start; from then on the test says when."""
    monkeypatch.setattr("poller.sharing.TURN", 3600.0)


def running(world: World, count: int) -> list[str]:
    jobs = [world.job(percent=30, heard=1) for _ in range(count)]
    for job in jobs:
        world.vma.run(job, 40)
    return jobs


def asked(world: World, *jobs: str) -> list[int]:
    """How often each job was asked about."""
    return [len(world.vma.times(job)) for job in jobs]


async def look(us: Process, times: int = 1) -> None:
    for _ in range(times):
        await us.service.sharing.turn()
    await us.settle()


# --- at the start --------------------------------------------------------------------------------------


def test_recovery_at_the_start_is_of_our_own_jobs_and_is_recorded_as_ours(world: World) -> None:
    mine, theirs = running(world, 2)

    async def story() -> None:
        async with world.process(ownership=Jobs(mine)) as us:
            assert us.schedule == {mine}
            [record] = world.runs()
            assert (record["jobs"], record["looked_at"], record["run_by"]) == (1, 1, us.observer.id)
            await us.pass_time(11)

    run(story())
    assert asked(world, mine, theirs) == [3, 0]
    assert not world.row(theirs)["recovery_attempted"]


def test_the_runs_of_replicas_that_live_stay_open_and_those_of_the_dead_are_closed(world: World) -> None:
    [mine] = running(world, 1)
    for replica in ("alive", "dead"):
        world.store.open_run(world.clock.time, STARTUP, 5, replica)
    jobs = Jobs(mine)
    jobs.others_living = ["alive"]

    async def story() -> None:
        async with world.process(ownership=jobs):
            pass

    run(story())
    open_now = {row["run_by"] for row in world.runs() if row["finished_at"] is None}
    assert open_now == {"alive"}


def test_a_recovery_of_all_jobs_is_refused_while_another_replica_that_lives_runs_one(world: World) -> None:
    [mine] = running(world, 1)
    jobs = Jobs(mine)
    jobs.others_living = ["alive"]

    async def story() -> None:
        async with world.process(ownership=jobs) as us:
            dead, alive = (world.store.open_run(world.clock.time, TRIGGER, 5, name) for name in ("dead", "alive"))
            with pytest.raises(RecoveryRunningError, match=f"recovery run {alive} is under way at replica alive"):
                await us.recovery.start(TRIGGER)
            assert us.recovery.finished.is_set()
            world.store.note_run(alive, 5, {}, {}, world.clock.time)
            assert (await us.recovery.start(TRIGGER)).run_id > dead
            await us.recovery_over()

    run(story())


def test_a_replica_that_gets_its_shares_late_recovers_then(world: World) -> None:
    [mine] = running(world, 1)
    jobs = Jobs()

    async def story() -> None:
        async with world.process(started=False, ownership=jobs) as us:
            us.service.start()
            await look(us)
            assert world.runs() == []
            jobs.taken = {mine}
            await look(us)
            await us.recovery.finished.wait()

    run(story())
    assert [row["jobs"] for row in world.runs()] == [1]
    assert asked(world, mine) == [1]


def test_an_api_only_replica_polls_nothing_of_itself(world: World) -> None:
    [job] = running(world, 1)

    async def story() -> None:
        async with world.process(started=False, ownership=Jobs(polls=False)) as us:
            us.service.start()
            await look(us, 4)
            await us.pass_time("5m")
            assert (us.schedule, world.runs(), us.monitor.cycles) == (set(), [], 0)

    run(story())
    assert asked(world, job) == [0]


# --- shares come and go ----------------------------------------------------------------------------------


def test_a_lost_share_takes_its_jobs_out_of_the_schedule_at_once_and_a_gained_one_has_them_asked(world: World) -> None:
    kept, lost, gained = running(world, 3)
    jobs = Jobs(kept, lost)

    async def story() -> None:
        async with world.process(ownership=jobs) as us:
            jobs.taken = {kept, gained}
            await look(us)
            assert us.schedule == {kept, gained}
            assert asked(world, kept, lost, gained) == [1, 1, 1], "gained: asked about at once"
            await us.pass_time(11)
            assert us.service.metrics.registry.get_sample_value("oma_fsm_shares") == 2

    run(story())
    assert asked(world, kept, lost, gained) == [3, 1, 3]


def test_a_share_lost_and_regained_while_a_question_is_under_way_makes_one_loop_of_questions_not_two(
    world: World,
) -> None:
    [job] = running(world, 1)
    jobs = Jobs(job)

    async def story() -> None:
        async with world.process(ownership=jobs) as us:
            world.vma.hold(job)
            await us.pass_time(5)
            for mine in (set(), {job}, set(), {job}):
                jobs.taken = set(mine)
                await look(us)
            world.vma.release(job)
            await until(lambda: not us.poller.is_busy(job))
            await look(us, 2)
            await us.pass_time(21)

    run(story())
    times = world.vma.times(job)
    gaps = [round(later - earlier, 3) for earlier, later in pairwise(times[-5:])]
    assert gaps == [5.0] * 4
    assert world.vma.most_at_once[job] == 1


def test_a_job_whose_share_is_lost_during_an_ordinary_poll_is_not_waited_for_by_a_recovery(world: World) -> None:
    [job] = running(world, 1)
    jobs = Jobs(job)

    async def story() -> None:
        async with world.process(ownership=jobs) as us:
            world.vma.hold(job)
            await us.pass_time(5)
            await us.recovery.start(TRIGGER)
            jobs.taken = set()
            await look(us)
            world.vma.release(job)
            await until(us.recovery.finished.is_set)
            await us.settle()

    run(story())
    assert world.runs()[0]["outcomes"] == {"running": 1}


def test_what_is_due_when_a_share_is_not_believed_any_more_is_not_asked_about(world: World) -> None:
    """So wakes a frozen replica: its schedule is full of what others ask about by now."""
    [job] = running(world, 1)
    jobs = Jobs(job)

    async def story() -> None:
        async with world.process(ownership=jobs) as us:
            jobs.mine = set()  # time alone did that; nobody has looked
            await us.pass_time(6)
            assert us.schedule == set()

    run(story())
    assert asked(world, job) == [1]


def test_a_job_that_another_replica_made_or_reopened_is_picked_up_within_two_looks_and_is_no_drift(
    world: World,
) -> None:
    old = running(world, 1)
    jobs = Jobs(*old)

    async def story() -> None:
        async with world.process(ownership=jobs) as us:
            made = world.job(age=0)
            world.vma.run(made, 1)
            jobs.taken.add(made)
            jobs.mine.add(made)
            assert await us.monitor.cycle() == [], "it is on its way"
            await look(us, 2)
            assert us.schedule == {*old, made}
            assert asked(world, made) == [1]
            world.store.fire(made, Event.FAIL, world.clock.time, asked=Asked(reason="the workflow gave up"))
            await us.pass_time(5)
            assert us.schedule == set(old)

    run(story())


def test_who_stops_leaves_its_shares_before_it_waits_for_its_last_answers(world: World) -> None:
    [job] = running(world, 1)
    jobs = Jobs(job)

    async def story() -> None:
        async with world.process(ownership=jobs) as us:
            world.vma.hold(job)
            await us.pass_time(5)
            left_when_answered: list[bool] = []
            us.poller.listeners.append(lambda _job, _applied: left_when_answered.append(jobs.left))
            world.vma.on_ask = lambda _job: None
            stopping = us.service.stop()
            world.vma.release(job)
            await stopping
            assert left_when_answered == [True]

    run(story())
    assert world.row(job)["polling_total_polls"] == 3, "the answer under way is written all the same"


# --- what happens here to others' jobs -------------------------------------------------------------------


def test_a_job_of_another_replica_that_something_happened_to_here_is_asked_about_once(world: World) -> None:
    mine, theirs = running(world, 2)

    async def story() -> None:
        async with world.process(ownership=Jobs(mine)) as us:
            us.service.wake(theirs)
            await us.settle()
            assert us.schedule == {mine}
            await us.pass_time(30)

    run(story())
    assert asked(world, theirs) == [1]
    assert world.row(theirs)["progress_percent"] == 40


def test_what_happens_to_it_while_it_is_asked_about_has_it_asked_once_more(world: World) -> None:
    [theirs] = running(world, 1)

    async def story() -> None:
        async with world.process(started=False, ownership=Jobs()) as us:
            us.service.start()
            world.vma.hold(theirs)
            us.service.wake(theirs)
            await us.settle()
            us.service.wake(theirs)
            world.vma.release(theirs)
            await us.settle()
            assert us.schedule == set()

    run(story())
    assert asked(world, theirs) == [2]


def test_a_recovery_by_hand_is_of_all_jobs_whoever_polls_them(world: World) -> None:
    mine, theirs = running(world, 2)

    async def story() -> None:
        async with world.process(ownership=Jobs(mine)) as us:
            await us.recovery.start(TRIGGER)
            await us.recovery_over()
            assert us.schedule == {mine}

    run(story())
    assert asked(world, mine, theirs) == [2, 1]
    assert world.runs()[0]["outcomes"] == {"running": 2}


def test_a_run_of_a_replica_that_is_gone_is_closed_by_the_others_monitors(world: World) -> None:
    """Nobody takes shares over from one that only answers the API, and whoever follows its run waits."""
    [mine] = running(world, 1)
    jobs = Jobs(mine)
    jobs.others_living = ["living"]

    async def story() -> None:
        async with world.process(ownership=jobs) as us:
            now = world.clock.time
            runs = [world.store.open_run(now, TRIGGER, 1, by) for by in ("gone", "living", us.observer.id)]
            await us.monitor.cycle()
            finished = {row["id"]: row["finished_at"] for row in world.runs()}
            assert [finished[run] for run in runs] == [now, None, None]

    run(story())


def test_others_jobs_are_said_to_be_polled(world: World) -> None:
    mine, theirs = running(world, 2)

    async def story() -> None:
        async with world.process(ownership=Jobs(mine)) as us:
            assert [us.service.is_polled(job) for job in (mine, theirs)] == [True, True]
            assert [us.service.is_polling(job) for job in (mine, theirs)] == [True, False], "not here"

    run(story())


# --- the monitor -----------------------------------------------------------------------------------------


def kinds(look: list[Any]) -> dict[str, Drift]:
    return {finding.job_id: finding.kind for finding in look}


def test_others_jobs_are_not_missed(world: World) -> None:
    mine, _theirs = running(world, 2)

    async def story() -> None:
        async with world.process(ownership=Jobs(mine)) as us:
            await us.pass_time(30)
            assert await us.monitor.cycle() == []
            us.poller.drop(mine)
            world.clock.advance(10)
            assert kinds(await us.monitor.cycle()) == {mine: Drift.MISSING}

    run(story())


@pytest.mark.parametrize(("late", "times"), [(60.0, 0), (60.1, 1)])
def test_a_job_that_nobody_asked_about_for_a_minute_is_asked_about_once_whosever_it_is(
    world: World, late: float, times: int
) -> None:
    [theirs] = running(world, 1)
    long_ago = world.clock.time - timedelta(seconds=late)
    world.sql("UPDATE vma_polling_state SET next_due_at = :at", at=long_ago.replace(tzinfo=None).isoformat(" "))

    async def story() -> None:
        async with world.process(started=False, ownership=Jobs()) as us:
            us.service.start()
            assert kinds(await us.monitor.cycle()) == ({theirs: Drift.UNCLAIMED} if times else {})
            await us.settle()
            assert await us.monitor.cycle() == []
            assert us.schedule == set()

    run(story())
    assert asked(world, theirs) == [times]


def test_a_scheduled_job_that_is_not_ours_any_more_is_a_ghost(world: World) -> None:
    [job] = running(world, 1)
    jobs = Jobs(job)

    async def story() -> None:
        async with world.process(ownership=jobs) as us:
            jobs.mine = set()
            with capture_logs():
                assert kinds(await us.monitor.cycle()) == {job: Drift.GHOST}
            assert us.schedule == set()

    run(story())


def test_a_job_of_which_nobody_knows_whose_it_is_is_no_ghost(world: World) -> None:
    """After a freeze, when the monitor looks before the shares were looked at again: they are ours still."""
    [job] = running(world, 1)
    jobs = Jobs(job)

    async def story() -> None:
        async with world.process(ownership=jobs) as us:
            jobs.mine, jobs.nobody_s = set(), {job}
            assert kinds(await us.monitor.cycle()) == {}
            assert us.schedule == {job}
            jobs.nobody_s = set()
            await look(us)
            await us.pass_time(6)

    run(story())
    assert asked(world, job) == [2]
