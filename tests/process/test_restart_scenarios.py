"""The four scenarios of the requirement, as real processes: own interpreters, sockets, SIGKILL."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from process_stage import LONG, PLAN, Stage, stage, stood_in_line, until

from poller.poll_check import check_files

pytestmark = pytest.mark.process
POLLED_WITHIN = 10.0  # seconds, the requirement's


def test_a_job_at_30_percent_is_polled_again_within_ten_seconds_and_reaches_100(tmp_path: Path) -> None:
    polls = tmp_path / "polls.jsonl"
    with stage(tmp_path, poll_log=polls) as play:
        job_id = play.job(gib=(32.0,), plan=PLAN.model_copy(update={"rate_mib_s": 1024}))
        play.wait_for_percent(job_id, 30)  # 70 % are 22 s: more than a slow machine needs to start again
        play.oma.kill()
        died = datetime.now(UTC)
        before = time.monotonic()
        play.oma.start()
        until("polled again", lambda: _answered_since(play, job_id, died), POLLED_WITHIN)
        assert time.monotonic() - before - stood_in_line(play.oma.pid) < POLLED_WITHIN
        recovered = play.workflow.job(job_id)
        assert recovered["status"] == "replicating"
        assert recovered["recovery_attempted"] is True
        assert recovered["recovery_method"] == "vma_validated"
        assert recovered["polling_restarted_at"] is not None
        play.wait_for_percent(job_id, recovered["progress_percent"] + 1)
        done = play.finish(job_id)
        assert (done["ending"], done["progress_percent"]) == ("confirmed", 100.0)
        assert "Restarted VMA progress polling" in play.logged()
        assert "Job still active on VMA" in play.logged()
    report = check_files([str(polls)])
    assert (report.findings, report.runs, report.jobs) == ([], 2, 1), "no gap but the downtime, and nothing asked twice"
    assert report.questions > 5


def _answered_since(play: Stage, job_id: str, moment: datetime) -> bool:
    last = play.polling(job_id)["last_poll_at"]
    return last is not None and datetime.fromisoformat(last) > moment


def test_a_copy_that_completed_while_the_oma_was_away_is_finalised(tmp_path: Path) -> None:
    with stage(tmp_path) as play:
        job_id = play.job(gib=LONG)
        play.wait_for_percent(job_id, 0.1)
        play.oma.kill()
        play.vma.control.finish(job_id)
        play.oma.start()
        done = play.wait_for_state(job_id, "completed", POLLED_WITHIN)
        assert (done["ending"], done["progress_percent"]) == ("confirmed", 100.0)
        assert done["completed_at"] is not None
        context = play.get(f"/contexts/{done['vm_context_id']}")
        assert (context["current_status"], context["current_job_id"]) == ("ready_for_failover", None)
        assert (context["last_successful_job_id"], context["successful_jobs"]) == (job_id, 1)
        assert play.polling(job_id)["is_active"] is False
        assert job_id not in [job["job_id"] for job in play.get("/vma-polling/status")["jobs"]]


def test_a_copy_that_failed_while_the_oma_was_away_is_finalised(tmp_path: Path) -> None:
    with stage(tmp_path) as play:
        job_id = play.job(gib=LONG)
        play.wait_for_percent(job_id, 0.1)
        play.oma.kill()
        play.vma.control.fail(job_id)
        play.oma.start()
        failed = play.wait_for_state(job_id, "failed", POLLED_WITHIN)
        assert (failed["ending"], failed["recovery_method"]) == ("confirmed", "vma_validated")


def test_an_unreachable_vma_fails_nobody_before_its_time(tmp_path: Path) -> None:
    with stage(tmp_path) as play:
        job_id = play.job(gib=LONG)
        play.wait_for_percent(job_id, 0.1)
        play.oma.kill()
        play.vma.kill()
        play.oma.start()
        until("asked in vain, twice", lambda: play.polling(job_id)["consecutive_errors"] >= 2)
        job = play.workflow.job(job_id)
        assert (job["status"], job["recovery_attempted"]) == ("replicating", True)
        assert job["progress_percent"] > 0
        assert "VMA unreachable; job stays and is asked again" in play.logged()


def test_a_vma_unreachable_for_too_long_fails_the_job_and_its_return_reopens_it(tmp_path: Path) -> None:
    short = {"policy__unreachable_after": "3s", "policy__inference_ripe": "1s", "policy__backoff_max": "0.5s"}
    with stage(tmp_path, **short) as play:
        job_id = play.job(gib=LONG)
        play.wait_for_percent(job_id, 0.1)
        play.oma.kill()
        play.vma.kill()
        play.oma.start()
        failed = play.wait_for_state(job_id, "failed")
        assert (failed["ending"], failed["recovery_method"]) == ("inferred", "timeout")
        assert failed["error_message"] == "VMA unreachable after restart"
        context = play.get(f"/contexts/{failed['vm_context_id']}")
        assert (context["current_status"], context["current_job_id"]) == ("failed", None)
        play.vma.start()  # the copy process has survived and posts again
        back = play.wait_for_state(job_id, "replicating")
        context = play.get(f"/contexts/{back['vm_context_id']}")
        assert (context["current_status"], context["current_job_id"]) == ("replicating", job_id)
        done = play.finish(job_id)
        assert (done["ending"], done["error_message"]) == ("confirmed", None)


@pytest.mark.parametrize(
    "by_hand",
    ["UPDATE vma_polling_state SET is_active = 0 WHERE job_id = ?", "DELETE FROM vma_polling_state WHERE job_id = ?"],
)
def test_a_job_taken_out_of_the_schedule_by_hand_is_found_by_the_monitor(tmp_path: Path, by_hand: str) -> None:
    with stage(tmp_path, policy__monitor_interval="2s") as play:
        job_id = play.job(gib=LONG)
        play.wait_for_percent(job_id, 0.1)
        play.sql(by_hand, job_id)
        until("found", lambda: "Found job not being polled - restarting" in play.logged())
        until("polled again", lambda: play.polling(job_id)["is_active"])
        monitor = play.get("/vma-polling/status")["monitor"]
        assert monitor["orphans_detected"]["missing"] == 1
        assert monitor["polling_restarted"] == 1
        play.finish(job_id)


def test_jobs_in_set_up_survive_a_downtime_longer_than_their_grace(tmp_path: Path) -> None:
    with stage(tmp_path) as play:
        job_id, actor = play.setup_job()
        play.oma.kill()
        for column in ("created_at", "entered_at"):
            play.sql(f"UPDATE replication_jobs SET {column} = datetime({column}, '-10 minutes') WHERE id = ?", job_id)  # noqa: S608
        play.oma.start()
        until("asked about", lambda: play.polling(job_id)["last_poll_at"])
        until("asked about again", lambda: play.polling(job_id)["total_polls"] >= 4)
        assert play.state(job_id) == "attaching"
        play.vma.control.plan(job_id, PLAN)
        play.workflow.start(job_id, actor)
        play.wait_for_state(job_id, "completed")
