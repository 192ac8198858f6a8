"""The service as a process: how it starts, stops, refuses, and what odd answers do to it."""

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from process_stage import LONG, stage, until

from cli.demo.service import ServiceError, ServiceProcess
from vma.simulator.faults import FaultMode

pytestmark = pytest.mark.process


def test_the_api_is_up_while_the_vma_accepts_and_never_answers(tmp_path: Path) -> None:
    with stage(tmp_path) as play:
        jobs = [play.job(f"web-{n:02}", gib=LONG) for n in range(11)]
        play.oma.kill()
        play.vma.control.fault("hang")
        play.oma.start()
        assert httpx.get(f"{play.oma.url}/readyz", trust_env=False).status_code == 200
        recovery = until(
            "the API does not wait for recovery", lambda: play.get("/job-recovery/status")["in_recovery"], 5.0
        )
        assert recovery["jobs"] == len(jobs)
        play.vma.control.no_fault()
        until("all polled again", lambda: _all_running(play.get("/vma-polling/status"), jobs))


def _all_running(status: dict[str, list[dict[str, object]]], jobs: list[str]) -> bool:
    fine = [job["job_id"] for job in status["jobs"] if job["consecutive_errors"] == 0 and job["last_poll_at"]]
    return sorted(map(str, fine)) == sorted(jobs)


def test_sigterm_during_slow_polls_is_over_within_eight_seconds_and_changes_no_state(tmp_path: Path) -> None:
    with stage(tmp_path) as play:
        job_id = play.job(gib=LONG)
        play.wait_for_percent(job_id, 0.1)
        play.vma.control.clear_requests()
        play.vma.control.fault("hang")
        until("a question is under way", lambda: play.vma.control.requests().total > 0)
        before = time.monotonic()
        assert play.oma.stop() == 0
        assert time.monotonic() - before < 8.0
        assert play.sql("SELECT status FROM replication_jobs WHERE id = ?", job_id) == [("replicating",)]
        assert "Polling stopped" in play.logged()


def test_a_second_process_on_one_sqlite_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    with stage(tmp_path) as play:
        second = ServiceProcess(tmp_path, play.vma.url, database_url=play.oma.database_url)
        second.log = tmp_path / "second.log"
        with pytest.raises(ServiceError, match="status 2"):
            second.start()
        assert "another process serves" in second.log.read_text()
        assert play.oma.running


@pytest.mark.parametrize("mode", ["not_found_text_200", "not_found_json_200"])
def test_200_job_not_found_ends_no_job_neither_when_polled_nor_at_start(tmp_path: Path, mode: FaultMode) -> None:
    with stage(tmp_path) as play:
        job_id = play.job(gib=LONG)
        play.wait_for_percent(job_id, 0.1)
        play.vma.control.fault(mode)
        until("heard while polling", lambda: _heard(play.polling(job_id)))
        play.oma.kill()
        play.oma.start()
        run = until("heard at start", lambda: _finished_run_of(play.get("/job-recovery/status"), jobs=1))
        assert run["outcomes"] == {"waiting_not_found": 1}
        assert play.state(job_id) == "replicating"
        assert play.polling(job_id)["consecutive_errors"] == 0


def _finished_run_of(status: dict[str, dict[str, object]], *, jobs: int) -> dict[str, object] | None:
    last = status["last_recovery"]
    return last if last["jobs"] == jobs and last["finished_at"] else None


def _heard(polling: dict[str, list[dict[str, object]]]) -> bool:
    return any(poll["verdict"] == "not_found" for poll in polling["history"][:1])


@pytest.mark.parametrize("mode", ["garbage", "empty", "null", "truncated", "no_keys", "huge"])
def test_garbage_never_changes_stored_progress(tmp_path: Path, mode: FaultMode) -> None:
    with stage(tmp_path) as play:
        job_id = play.job(gib=LONG)
        play.wait_for_percent(job_id, 0.1)
        play.vma.control.fault(mode)
        until("garbage heard", lambda: play.polling(job_id)["consecutive_errors"] >= 1)
        known = play.workflow.job(job_id)["progress_percent"]
        until("more garbage heard", lambda: play.polling(job_id)["consecutive_errors"] >= 3)
        job = play.workflow.job(job_id)
        assert (job["status"], job["progress_percent"]) == ("replicating", known)
        assert known > 0


def test_wrong_settings_refuse_to_start_and_name_the_setting(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "serve"]
    environment = {"OMA_FSM_POLICY__POLL_INTERVAL": "never", "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 2
    assert "OMA_FSM_POLICY__POLL_INTERVAL" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_job_runs_on_through_six_kills_in_a_row(tmp_path: Path) -> None:
    with stage(tmp_path) as play:
        job_id = play.job(gib=LONG)
        for _ in range(6):
            play.oma.kill()
            play.oma.start()
        job = play.workflow.job(job_id)
        assert (job["status"], job["version"]) == ("replicating", 4)
        done = play.finish(job_id)
        context = play.get(f"/contexts/{done['vm_context_id']}")
        assert (context["total_jobs_run"], context["successful_jobs"], context["failed_jobs"]) == (1, 1, 0)
