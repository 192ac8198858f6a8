"""A new job of a VM whose last end was only inferred: the VMA is asked about that one first."""

from collections.abc import Callable

from api_stage import API, AT_ONCE, JOBS, Stage, new_job

Play = Callable[..., None]


def test_if_the_last_copy_runs_it_is_reopened_and_the_new_job_refused(play: Play) -> None:
    async def story(on: Stage) -> None:
        old = await on.inferred_end()
        on.vma.say(old)
        refused = await on.post(JOBS, new_job(), 409)
        assert (refused["event"], refused["outcome"], refused["state"]) == ("create", "refused", None)
        assert refused["failed_guards"] == [
            {"name": "vm_idle", "observed": old, "limit": "no unfinished job of the VM", "becomes_true_at": None}
        ]
        job = await on.job(old)
        assert (job["status"], job["ending"], job["watched"], job["error_message"]) == (
            "replicating",
            None,
            False,
            None,
        )
        last = (await on.get(f"{JOBS}/{old}/history"))["items"][-1]
        assert last["edge"] == "runs_after_all"
        assert (await on.get(JOBS))["total"] == 1

    play(story, **AT_ONCE)


def test_if_the_vma_cannot_be_asked_the_new_job_is_refused_with_the_reason(play: Play) -> None:
    async def story(on: Stage) -> None:
        old = await on.inferred_end()
        on.vma.down = True
        refused = await on.post(JOBS, new_job(), 409)
        assert refused["failed_guards"] == [
            {
                "name": "last_copy_over",
                "observed": f"{old} is unreachable",
                "limit": "the VM's last copy, whose end was only inferred, answers and does not run",
                "becomes_true_at": None,
            }
        ]
        job = await on.job(old)
        assert (job["status"], job["ending"], job["watched"]) == ("failed", "inferred", True)
        assert (await on.get(JOBS))["total"] == 1

    play(story, **AT_ONCE)


def test_a_paused_appliance_is_not_asked_about_the_last_copy_and_the_new_job_is_refused(play: Play) -> None:
    """It may just have been restarted, and know nothing of a copy that runs."""

    async def story(on: Stage) -> None:
        old = await on.inferred_end()
        await on.post(f"{API}/appliances/default/pause")
        on.vma.asked.clear()
        refused = await on.post(JOBS, new_job(), 409)
        assert on.vma.asked == []
        assert [guard["observed"] for guard in refused["failed_guards"]] == [f"{old} is not asked"]
        assert (await on.job(old))["watched"] is True
        await on.post(f"{API}/appliances/default/resume")
        await on.create()

    play(story, **AT_ONCE)


def test_if_the_last_copy_is_gone_the_new_job_is_made_and_the_watch_ends(play: Play) -> None:
    async def story(on: Stage) -> None:
        old = await on.inferred_end()
        assert (await on.job(old))["watched"] is True
        on.clock.advance(1)
        on.vma.asked.clear()
        new = await on.create()
        assert old in on.vma.asked, "the VMA was not asked"
        job = await on.job(old)
        assert (job["status"], job["ending"], job["watched"]) == ("failed", "inferred", False)
        assert job["polling"]["is_active"] is False
        context = await on.get(f"{API}/contexts/{job['vm_context_id']}")
        assert (context["current_job_id"], context["current_status"]) == (new, "replicating")

    play(story, **AT_ONCE)
