"""Recovery over REST: numbers, runs, the trigger."""

from collections.abc import Callable
from typing import Any

from api_stage import API, AT_ONCE, Stage, StubVma, run

Play = Callable[..., None]
STATUS, TRIGGER = f"{API}/job-recovery/status", f"{API}/job-recovery/trigger"


async def _finished(on: Stage, runs: int) -> dict[str, Any]:
    """The status once that many runs are recorded as finished."""
    await on.service.polling.recovery.finished.wait()
    await on.service.polling.recovery.flush()
    status = await on.get(STATUS)
    assert [r["finished_at"] is not None for r in status["runs"]] == [True] * runs
    return status


def test_without_jobs_there_is_nothing_to_divide_by(play: Play) -> None:
    async def story(on: Stage) -> None:
        status = await _finished(on, 1)
        run = {
            "run_id": 1, "started_at": "2026-03-02T12:00:00Z", "finished_at": "2026-03-02T12:00:00Z",
            "asked_by": "startup", "actor": None, "jobs": 0, "looked_at": 0, "outcomes": {},
            "seconds_to_answer": None, "success_rate": None, "run_by": on.service.observer.id,
        }  # fmt: skip
        assert status == {
            "total_recovered": 0, "success_rate": None, "inferred_ends": 0, "overturned_ends": 0,
            "false_failure_rate": None, "last_recovery": run, "in_recovery": None, "runs": [run],
        }  # fmt: skip

    play(story)


def test_after_a_restart_the_status_says_what_became_of_every_job(url: str) -> None:
    vma, jobs = StubVma(), []

    async def before(on: Stage) -> None:
        jobs.extend([await on.running(f"vm-{n}") for n in range(3)])

    async def after(on: Stage) -> None:
        status = await _finished(on, 2)
        last = status["last_recovery"]
        assert (last["run_id"], last["asked_by"], last["jobs"], last["looked_at"]) == (2, "startup", 3, 3)
        assert last["outcomes"] == {"running": 1, "completed_on_vma": 1, "ended_by_inference": 1}
        assert (last["success_rate"], status["success_rate"], status["total_recovered"]) == (66.67, 66.67, 2)
        assert (status["inferred_ends"], status["overturned_ends"], status["false_failure_rate"]) == (1, 0, 0.0)
        on.vma.say(jobs[2])
        on.service.polling.wake(jobs[2])
        await on.until(jobs[2], lambda job: job["status"] == "replicating")
        status = await on.get(STATUS)
        assert (status["inferred_ends"], status["overturned_ends"], status["false_failure_rate"]) == (1, 1, 100.0)

    run(url, before, vma=vma, **AT_ONCE)
    vma.say(jobs[1], "completed", 100.0)
    del vma.entries[jobs[2]]
    run(url, after, vma=vma, **AT_ONCE)


def test_jobs_that_wait_for_the_vma_are_polled_again_and_count_as_recovered(url: str) -> None:
    vma = StubVma()

    async def before(on: Stage) -> None:
        await on.running()

    async def after(on: Stage) -> None:
        status = await _finished(on, 2)
        assert status["last_recovery"]["outcomes"] == {"waiting_unreachable": 1}
        assert (status["total_recovered"], status["success_rate"]) == (1, 100.0)

    run(url, before, vma=vma)
    vma.down = True
    run(url, after, vma=vma)


def test_a_triggered_run_is_seen_while_it_goes_on_and_a_second_is_refused_with_its_id(play: Play) -> None:
    async def story(on: Stage) -> None:
        await _finished(on, 1)
        await on.running()
        on.vma.hold()
        assert await on.post(TRIGGER, {"actor": "anna"}, 202) == {"run_id": 2, "jobs": 1}
        status = await on.get(STATUS)
        assert status["in_recovery"] == {
            "run_id": 2, "jobs": 1, "looked_at": 0, "outcomes": {}, "seconds_to_answer": {},
        }  # fmt: skip
        assert status["last_recovery"]["run_id"] == 1
        assert await on.post(TRIGGER, code=409) == {
            "error": "recovery_running",
            "message": "recovery run 2 is under way; wait for it or read its state",
            "run_id": 2,
            "replica": None,
        }
        on.vma.release()
        status = await _finished(on, 2)
        assert status["in_recovery"] is None
        last = status["last_recovery"]
        assert (last["run_id"], last["asked_by"], last["actor"]) == (2, "trigger", "anna")
        assert (last["outcomes"], last["success_rate"]) == ({"running": 1}, 100.0)
        seconds = last["seconds_to_answer"]
        assert seconds["p50"] == seconds["p95"] == seconds["max"] > 0

    play(story)


def test_a_dry_run_says_what_would_be_decided_and_writes_nothing(url: str) -> None:
    vma, jobs = StubVma(), []

    async def before(on: Stage) -> None:
        jobs.extend([await on.running(f"vm-{n}") for n in range(2)])

    async def after(on: Stage) -> None:
        await _finished(on, 2)
        on.vma.say(jobs[1], "completed", 100.0)
        seen = [await on.job(job_id) for job_id in jobs]
        said = await on.post(TRIGGER, {"actor": "anna"}, dry_run=True)
        assert (said["jobs"], said["outcomes"]) == (2, {"running": 1, "completed_on_vma": 1})
        assert [(i["job_id"], i["verdict"], i["outcome"], i["to_state"], i["ending"]) for i in said["items"]] == [
            (jobs[1], "completed", "moved", "completed", "confirmed"),
            (jobs[0], "running", "stayed", "replicating", None),
        ]
        assert [await on.job(job_id) for job_id in jobs] == seen
        assert [r["run_id"] for r in (await on.get(STATUS))["runs"]] == [2, 1]

    run(url, before, vma=vma, poll_interval="30s")
    run(url, after, vma=vma, poll_interval="30s")


def test_a_trigger_without_a_body_is_enough_and_marks_the_jobs(play: Play) -> None:
    async def story(on: Stage) -> None:
        await _finished(on, 1)
        job_id = await on.running()
        assert (await on.job(job_id))["recovery_attempted"] is False
        await on.post(TRIGGER, code=202)
        await _finished(on, 2)
        job = await on.job(job_id)
        assert (job["recovery_attempted"], job["recovery_method"]) == (True, "vma_validated")
        assert job["recovery_attempted_at"] == job["polling_restarted_at"] == "2026-03-02T12:00:00Z"

    play(story)


def test_the_last_twenty_runs_are_shown_newest_first(play: Play) -> None:
    async def story(on: Stage) -> None:
        await _finished(on, 1)
        for n in range(21):
            await on.post(TRIGGER, code=202)
            await _finished(on, min(n + 2, 20))
        assert [r["run_id"] for r in (await on.get(STATUS))["runs"]] == list(range(22, 2, -1))

    play(story)


def test_a_trigger_with_nonsense_in_its_body_is_a_422(play: Play) -> None:
    async def story(on: Stage) -> None:
        for body in ({"actor": ""}, {"jobs": ["job-1"]}):
            assert (await on.post(TRIGGER, body, 422))["error"] == "invalid"

    play(story)
