"""The requirement's four scenarios, time frozen: real store, poller, recovery and monitor; a model VMA."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time
from structlog.testing import capture_logs
from world import Process, World, run

from fsm.states import Verdict
from poller.metrics import Drift
from vma.observer import Observer


def said(logs: list, event: str) -> list:  # type: ignore[type-arg]
    """The log lines with this text."""
    return [line for line in logs if line["event"] == event]


# --- 1: restart with a job at 30 % -----------------------------------------------------------------


def test_a_job_at_30_percent_is_validated_polled_again_and_reaches_100(world: World) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 30)
    restarted = world.clock.time

    async def story() -> None:
        async with world.process() as us:
            first = world.row(job)
            assert (first["status"], first["recovery_attempted"]) == ("replicating", True)
            assert first["recovery_method"] == "vma_validated"
            assert first["recovery_attempted_at"] == restarted
            assert first["polling_restarted_at"] == restarted
            assert first["vma_validated_at"] == restarted
            assert first["polling_is_active"]
            world.vma.run(job, 60)
            await us.pass_time(6)
            assert world.row(job)["progress_percent"] == 60, "progress resumes within 5 s"
            world.vma.complete(job)
            await us.pass_time(6)

    with capture_logs() as logs:
        run(story())
    done = world.row(job)
    assert (done["status"], done["ending"], done["progress_percent"]) == ("completed", "confirmed", 100)
    assert not done["polling_is_active"]
    assert [line["job_id"] for line in said(logs, "Restarted VMA progress polling")] == [job]
    assert [line["job_id"] for line in said(logs, "Job still active on VMA")] == [job]
    [recovery] = world.runs()
    assert recovery["outcomes"] == {"running": 1}
    assert (recovery["jobs"], recovery["looked_at"], recovery["asked_by"]) == (1, 1, "startup")


def test_the_clocks_of_a_service_that_embeds_us_may_be_frozen_from_outside(world: World) -> None:
    """The same with the product's own clocks, frozen by freezegun: nothing reads time behind the observer's back."""
    job = world.job(percent=30)
    world.vma.run(job, 31)
    long_ago = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)

    async def story() -> None:
        us = Process(world)
        us.observer = Observer()
        world.vma.observer = us.poller.observer = us.observer
        try:
            await us.start()
        finally:
            await us.kill()

    with freeze_time(long_ago, real_asyncio=True):
        run(story())
    row = world.row(job)
    assert row["status"] == "replicating"
    assert row["recovery_attempted_at"] == row["vma_validated_at"] == row["polling_last_poll_at"] == long_ago
    assert row["polling_next_due_at"] == long_ago + timedelta(seconds=5)


# --- 2: ended while we were away -------------------------------------------------------------------


def test_a_job_that_completed_while_we_were_away_is_finalised(world: World) -> None:
    job = world.job(percent=95)
    world.vma.complete(job)

    async def story() -> None:
        async with world.process() as us:
            assert us.schedule == set()

    run(story())
    row, context = world.row(job), world.context(job)
    assert (row["status"], row["ending"], row["progress_percent"]) == ("completed", "confirmed", 100)
    assert row["completed_at"] == world.clock.time
    assert (row["polling_is_active"], row["polling_next_due_at"]) == (False, None)
    assert (row["recovery_attempted"], row["recovery_method"]) == (True, "vma_validated")
    assert (context["current_status"], context["current_job_id"]) == ("ready_for_failover", None)
    assert (context["last_successful_job_id"], context["successful_jobs"]) == (job, 1)
    assert world.runs()[0]["outcomes"] == {"completed_on_vma": 1}


def test_a_job_that_failed_while_we_were_away_is_finalised_with_the_vma_s_words(world: World) -> None:
    job = world.job(percent=40)
    world.vma.fail(job, "snapshot was deleted")

    async def story() -> None:
        async with world.process() as us:
            assert us.schedule == set()

    run(story())
    row, context = world.row(job), world.context(job)
    assert (row["status"], row["ending"]) == ("failed", "confirmed")
    assert row["error_message"] == "snapshot was deleted"
    assert (context["current_status"], context["current_job_id"]) == ("failed", None)
    assert world.runs()[0]["outcomes"] == {"failed_on_vma": 1}


# --- 3: the VMA is unreachable ---------------------------------------------------------------------


def test_an_unreachable_vma_costs_a_job_younger_than_half_an_hour_nothing(world: World) -> None:
    job = world.job(percent=30, age="10m", heard="9m")
    world.vma.reachable = False

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time("19m")
            assert world.status(job) == "replicating"
            world.vma.reachable = True
            world.vma.run(job, 70)
            await us.pass_time(31)
            assert world.row(job)["progress_percent"] == 70

    with capture_logs() as logs:
        run(story())
    assert world.moves(job)[-1] == "start"
    [warning] = said(logs, "VMA unreachable; job stays and is asked again")
    assert (warning["log_level"], warning["job_id"]) == ("warning", job)


def test_an_older_job_is_given_up_only_after_three_silences_over_a_minute_and_stays_under_watch(world: World) -> None:
    job = world.job(percent=30, heard="29m")
    world.vma.reachable = False

    async def story() -> None:
        async with world.process() as us:
            await us.pass_time(59)
            assert world.status(job) == "replicating"
            await us.pass_time(120)
            assert us.schedule == {job}, "the end was only inferred"

    with capture_logs() as logs:
        run(story())
    row, context = world.row(job), world.context(job)
    assert (row["status"], row["ending"]) == ("failed", "inferred")
    assert row["error_message"] == "VMA unreachable after restart"
    assert (row["watched"], row["polling_is_active"]) == (True, True)
    assert context["current_job_id"] is None
    assert (context["current_status"], context["failed_jobs"]) == ("failed", 1)
    assert [line["job_id"] for line in said(logs, "Job ended by inference; it stays under watch")] == [job]


def test_the_vm_of_a_job_that_was_given_up_is_free_once_the_vma_says_that_nothing_runs(world: World) -> None:
    old = world.inferred_end(vm="web")
    for verdict in (None, Verdict.UNREACHABLE, Verdict.RUNNING):
        refused = world.create("web", asked_about={old: verdict} if verdict else {})
        assert not refused.moved, verdict
    new = world.create("web", asked_about={old: Verdict.NOT_FOUND})
    assert new.moved
    assert (world.row(old)["watched"], world.row(old)["polling_is_active"]) == (False, False)
    world.vma.run(old, 80)

    async def story() -> None:
        async with world.process() as us:
            assert us.schedule == {new.after.job_id}

    run(story())
    assert world.status(old) == "failed"
    assert world.context(old)["current_job_id"] == new.after.job_id


def test_a_job_that_was_given_up_and_runs_after_all_is_reopened(world: World) -> None:
    job = world.inferred_end(ago="5m")
    world.vma.reachable = False

    async def story() -> None:
        async with world.process() as us:
            assert world.status(job) == "failed"
            world.vma.reachable = True
            world.vma.run(job, 55)
            await us.pass_time(31)
            assert us.schedule == {job}

    with capture_logs() as logs:
        run(story())
    row, context = world.row(job), world.context(job)
    assert (row["status"], row["ending"], row["progress_percent"]) == ("replicating", None, 55)
    assert (row["completed_at"], row["error_message"], row["watched"]) == (None, None, False)
    assert row["polling_restarted_at"] == row["polling_started_polling_at"] == row["entered_at"]
    assert (context["current_status"], context["current_job_id"]) == ("replicating", job)
    assert len(said(logs, "Inferred end overturned: the job runs")) == 1


# --- 4: orphans ------------------------------------------------------------------------------------


def drop_from_schedule(_world: World, us: Process, job: str) -> None:
    us.poller.drop(job)


def delete_polling_row(world: World, _us: Process, job: str) -> None:
    world.sql("DELETE FROM vma_polling_state WHERE job_id = :job", job=job)


def switch_polling_off(world: World, _us: Process, job: str) -> None:
    world.sql("UPDATE vma_polling_state SET is_active = 0 WHERE job_id = :job", job=job)


@pytest.mark.parametrize("harm", [drop_from_schedule, delete_polling_row, switch_polling_off])
def test_an_orphan_is_found_by_the_monitor_and_polled_again(
    world: World, harm: Callable[[World, Process, str], None]
) -> None:
    job, other = world.job(percent=30), world.job(percent=30)
    world.vma.run(job, 31)
    world.vma.run(other, 31)

    async def story() -> None:
        async with world.process() as us:
            harm(world, us, job)
            await us.pass_time(6)
            assert us.schedule == {other}
            world.vma.run(job, 60)
            [finding] = await us.monitor.cycle()
            assert (finding.job_id, finding.kind) == (job, Drift.MISSING)
            await us.pass_time(5)
            assert (us.monitor.counts[Drift.MISSING], us.monitor.restarted, us.monitor.drift) == (1, 1, 1)
            sample = us.service.metrics.registry.get_sample_value
            assert sample("oma_fsm_orphans_detected_total", {"kind": "missing"}) == 1
            assert sample("oma_fsm_polling_restarted_total") == 1
            assert sample("oma_fsm_drift") == 1
            assert await us.monitor.cycle() == []
            assert sample("oma_fsm_drift") == 0

    with capture_logs() as logs:
        run(story())
    row = world.row(job)
    assert (row["progress_percent"], row["polling_is_active"]) == (60, True), "progress within 5 s"
    [warning] = said(logs, "Found job not being polled - restarting")
    assert (warning["log_level"], warning["job_id"]) == ("warning", job)
