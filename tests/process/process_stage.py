"""A VMA and an OMA as real processes, and one VM to copy between them."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ports import held_port

from cli.demo.cast import Actor
from cli.demo.service import ServiceProcess
from cli.demo.workflow import Workflow
from vma.simulator.plans import Plan
from vma.simulator.process import SimulatorProcess

FAST = {"policy__poll_interval": "0.5s", "policy__poll_interval_near_end": "0.5s", "policy__monitor_interval": "1s"}
PLAN = Plan(rate_mib_s=256, first_post_after_s=0.2, setup_s=0.4, gap_s=0.2, post_every_s=0.3)
LONG = (64.0,)  # GiB of a copy that runs, by this plan, for four minutes: it ends when the test says so, or never


def until(what: str, happens: Callable[[], Any], seconds: float = 30.0, every: float = 0.05) -> Any:
    """Look until something is true, and give it back; AssertionError that says what did not come about."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := happens():
            return found
        time.sleep(every)  # another process cannot signal us; the deadline bounds it
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


def stood_in_line(pid: int) -> float:
    """Seconds that a process was ready to go on and got no processor: those of a busy machine, not its own."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:  # nobody counts here
        return 0.0


@dataclass
class Stage:
    """What the tests act on."""

    vma: SimulatorProcess
    oma: ServiceProcess
    workflow: Workflow

    def job(self, name: str = "web-01", gib: tuple[float, ...] = (2.0,), plan: Plan = PLAN) -> str:
        """A job whose copy was started."""
        actor = Actor(name, gib, "", lambda _c, _j: None, "completed", "confirmed")
        job_id = self.workflow.create(actor)
        self.vma.control.plan(job_id, plan)
        self.workflow.start(job_id, actor)
        return job_id

    def setup_job(self, name: str = "dc-01") -> tuple[str, Actor]:
        """A job that stands in attaching."""
        actor = Actor(name, (0.5,), "", lambda _c, _j: None, "completed", "confirmed")
        return self.workflow.create(actor), actor

    def state(self, job_id: str) -> str:
        """The state of a job now."""
        return str(self.workflow.job(job_id)["status"])

    def wait_for_state(self, job_id: str, state: str, seconds: float = 30.0) -> dict[str, Any]:
        """The job, once it stands in a state."""
        until(f"{job_id} is {state}", lambda: self.state(job_id) == state, seconds)
        return self.workflow.job(job_id)

    def finish(self, job_id: str) -> dict[str, Any]:
        """The job, once its copy is over and that is known."""
        self.vma.control.finish(job_id)
        return self.wait_for_state(job_id, "completed")

    def wait_for_percent(self, job_id: str, percent: float) -> None:
        """Returns when the OMA knows of that much progress."""
        until(f"{job_id} at {percent} %", lambda: self.workflow.job(job_id)["progress_percent"] >= percent)

    def polling(self, job_id: str) -> dict[str, Any]:
        """What the API says of a job's polling."""
        answer = self.workflow.oma.get(f"/vma-polling/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def get(self, path: str) -> dict[str, Any]:
        """GET from the API."""
        answer = self.workflow.oma.get(path)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def sql(self, statement: str, *parameters: Any) -> list[Any]:
        """Raw SQL on the service's own file."""
        with sqlite3.connect(self.oma.database_url.removeprefix("sqlite:///"), timeout=10) as connection:
            return connection.execute(statement, parameters).fetchall()

    def logged(self) -> str:
        """All that the service has logged."""
        return self.oma.log.read_text()


@contextmanager
def stage(folder: Path, **settings: object) -> Iterator[Stage]:
    """Both processes up; gone afterwards, whatever happens."""
    with ExitStack() as stack:
        port, of_vma, its_control = (stack.enter_context(held_port()) for _ in range(3))
        vma = stack.enter_context(SimulatorProcess(state=folder / "vma.json", port=of_vma, control_port=its_control))
        oma = stack.enter_context(ServiceProcess(folder, vma.url, port=port, **FAST | settings))
        workflow = Workflow(oma.url, vma.url)
        stack.callback(workflow.close)
        yield Stage(vma, oma, workflow)
