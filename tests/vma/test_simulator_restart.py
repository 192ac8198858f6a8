"""A killed simulator comes back with an empty map; with a state file its copies have gone on."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
from ports import held_port
from simulator_support import until

from vma.simulator.plans import Plan
from vma.simulator.process import NotStartedError, SimulatorProcess
from vma.simulator.records import CopyRecord
from vma.simulator.state import Memory, StateFile

pytestmark = pytest.mark.process

SPEED = 50.0
PLAN = Plan(rate_mib_s=1, first_post_after_s=0, setup_s=0, post_every_s=2, sync_type="full")


def get(simulator: SimulatorProcess, path: str) -> httpx.Response:
    return httpx.get(f"{simulator.url}/api/v1{path}", trust_env=False)


def start(simulator: SimulatorProcess, job_id: str) -> None:
    simulator.control.plan(job_id, PLAN)
    body = {"job_id": job_id, "vm_paths": ["/DC/vm/x"]}
    httpx.post(f"{simulator.url}/api/v1/replicate", json=body, trust_env=False).raise_for_status()
    until(lambda: copied(simulator, job_id))


def copied(simulator: SimulatorProcess, job_id: str) -> int:
    answer = get(simulator, f"/progress/{job_id}")
    return int(answer.json()["bytes_transferred"]) if answer.status_code == 200 else 0


def test_with_a_state_file_a_copy_goes_on_over_a_sigkill_and_posts_again(tmp_path: Path) -> None:
    with (
        held_port() as port,
        held_port() as control_port,
        SimulatorProcess(speed=SPEED, state=tmp_path / "vma.json", port=port, control_port=control_port) as simulator,
    ):
        start(simulator, "job-a")
        start(simulator, "job-hung")
        simulator.control.hang("job-hung")
        before, url = copied(simulator, "job-a"), simulator.url
        simulator.kill()
        with pytest.raises(httpx.ConnectError, match="refused"):
            get(simulator, "/health")
        simulator.restart()
        assert simulator.url == url
        assert get(simulator, "/status/job-a").status_code == 404
        assert until(lambda: copied(simulator, "job-a")) > before
        assert get(simulator, "/progress/job-a").json()["sync_type"] == ""
        assert [copy.state for copy in simulator.control.copies()] == ["running", "hung"]
        assert get(simulator, "/progress/job-hung").text == "job not found\n"


def test_without_a_state_file_everything_is_gone(tmp_path: Path) -> None:
    with (
        held_port() as port,
        held_port() as control_port,
        SimulatorProcess(speed=SPEED, port=port, control_port=control_port) as simulator,
    ):
        start(simulator, "job-a")
        simulator.restart()
        assert simulator.control.copies() == []
        assert get(simulator, "/progress/job-a").status_code == 404


def test_sigterm_ends_it_with_status_zero_even_while_a_request_hangs() -> None:
    with SimulatorProcess() as simulator:
        simulator.control.fault("hang")
        with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ReadTimeout):
            client.get(f"{simulator.url}/api/v1/health", timeout=0.1)
        assert simulator.pid is not None
        os.kill(simulator.pid, signal.SIGTERM)
        assert simulator.wait(20) == 0


def test_it_ends_when_its_starter_goes_away() -> None:
    command = [sys.executable, "-m", "vma.simulator", "--stop-with-stdin", "--port", "0", "--control-port", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith("VMA simulator ready: data http://127.0.0.1:")
        process.stdin.close()
        assert process.wait(20) == 0
        assert process.stdout.read() == ""


def test_a_taken_port_is_named_in_the_message() -> None:
    with SimulatorProcess() as simulator:
        port = simulator.url.rpartition(":")[2]
        command = [sys.executable, "-m", "vma.simulator", "--port", port, "--control-port", "0"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert ended.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
        assert "choose another port" in ended.stderr
        assert ended.stdout == ""


def test_an_unreadable_state_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    state = tmp_path / "vma.json"
    state.write_text("{]")
    with pytest.raises(NotStartedError):
        SimulatorProcess(state=state).start()
    assert state.read_text() == "{]"


def test_a_wrong_clock_shows_in_body_and_date_header() -> None:
    options = ("--clock-offset", "3600", "--utc-offset", "120")
    with SimulatorProcess(options=options) as simulator:
        answer = get(simulator, "/health")
    ahead = parsedate_to_datetime(answer.headers["Date"]) - datetime.now(UTC)
    assert 3500 < ahead.total_seconds() < 3700
    assert answer.json()["timestamp"].endswith("+02:00")


def test_the_state_file_keeps_everything_of_a_copy_and_leaves_no_scratch(tmp_path: Path) -> None:
    record = CopyRecord(
        job_id="job-a",
        plan=PLAN,
        disks=PLAN.disks_for([]),
        vm_path="/DC/vm/x",
        oma_url="http://127.0.0.1:1",
        started_at=12.5,
        milestones_done=5,
        previous_change_ids={"disk-2000": None},
    )
    memory = Memory(copies={"job-a": record}, plans={"job-b": PLAN})
    StateFile(tmp_path / "vma.json").save(memory)
    assert StateFile(tmp_path / "vma.json").load() == memory
    assert [path.name for path in tmp_path.iterdir()] == ["vma.json"]
