"""The commands that speak to the running service: recover and polling."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ports import held_port
from typer.testing import CliRunner, Result

from cli.demo.cast import Actor
from cli.demo.service import ServiceProcess
from cli.demo.workflow import Workflow
from cli.main import app
from cli.recovery import run_in
from vma.simulator.plans import Plan
from vma.simulator.process import SimulatorProcess

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a service and a job that it polls."""
    folder = tmp_path_factory.mktemp("service")
    with held_port() as port, SimulatorProcess() as vma, ServiceProcess(folder, vma.url, port=port) as oma:
        workflow, actor = Workflow(oma.url, vma.url), Actor("web-01", (9.0,), "", lambda *_: None, "", "")
        job_id = workflow.create(actor)
        vma.control.plan(job_id, Plan(rate_mib_s=64, first_post_after_s=0, setup_s=0))
        workflow.start(job_id, actor)
        while job_id not in vma.control.entries() or not _recovered(workflow):
            time.sleep(0.02)  # neither process can signal us
        yield oma.url, job_id
        workflow.close()


def _recovered(workflow: Workflow) -> bool:
    """True once the recovery of the start is over, beside which another would be refused."""
    runs = workflow.oma.get("/job-recovery/status").json()["runs"]
    return bool(runs) and runs[0]["finished_at"] is not None


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def test_what_a_recovery_would_decide_is_shown_before_it_is_done(service: tuple[str, str]) -> None:
    url, job_id = service
    rehearsed = run("recover", "--dry-run", "--service", url)
    assert rehearsed.exit_code == 0, rehearsed.output
    assert [line.split()[:2] for line in rehearsed.output.splitlines() if line.startswith("job-")] == [
        [job_id, "replicating"]
    ]
    assert "1 jobs asked about, nothing written" in rehearsed.output
    done = run("recover", "--service", url)
    assert (done.exit_code, "1 jobs; 1 running" in done.output, "(p95)" in done.output) == (0, True, True), done.output


@pytest.mark.parametrize(("goes_on_here", "seen"), [(7, 12), (8, 5), (None, 5)])
def test_a_run_is_followed_at_the_replica_that_has_it_and_at_another_by_its_record(
    goes_on_here: int | None, seen: int
) -> None:
    here = {"run_id": goes_on_here, "looked_at": 12} if goes_on_here else None
    run = run_in({"in_recovery": here, "runs": [{"run_id": n, "looked_at": 5} for n in (8, 7, 6)]}, 7)
    assert run == {"run_id": 7, "looked_at": seen}


def test_polling_is_shown_of_all_and_of_one(service: tuple[str, str]) -> None:
    url, job_id = service
    run("recover", "--service", url)
    shown = run("polling", "--service", url)
    assert shown.exit_code == 0, shown.output
    assert any(line.startswith(job_id) and "NOT POLLED" not in line for line in shown.output.splitlines())
    assert "1 jobs to be polled, 1 scheduled here; VMA answers" in shown.output
    one = run("polling", job_id, "--service", url)
    assert (one.exit_code, f"{job_id} (web-01): replicating, polled" in one.output) == (0, True), one.output
    assert "running" in one.output
    unknown = run("polling", "job-9", "--service", url)
    assert (unknown.exit_code, "no job 'job-9'" in unknown.output) == (2, True)


@pytest.mark.parametrize("command", [("recover",), ("recover", "--dry-run"), ("polling",)])
def test_without_a_service_it_is_said_where_one_was_looked_for(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMA_FSM_HOST", "0.0.0.0")  # noqa: S104 # where it listens
    with held_port() as port:
        monkeypatch.setenv("OMA_FSM_PORT", str(port))
        answer = run(*command)
    assert (answer.exit_code, f"no service answers at http://127.0.0.1:{port}" in answer.output) == (2, True)


def test_another_program_on_the_port_is_told_apart(service: tuple[str, str]) -> None:
    with SimulatorProcess() as vma:
        answer = run("polling", "--service", vma.url)
    assert (answer.exit_code, "is not this service" in answer.output) == (2, True), answer.output
