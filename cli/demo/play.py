"""The story: copies run, the OMA is killed, things happen, the OMA comes back; each job must end where it must."""

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
from rich.console import Console

from cli.common import out
from cli.demo.cast import CAST
from cli.demo.screen import Line, Screen
from cli.demo.service import ServiceError, ServiceProcess
from cli.demo.workflow import Workflow
from vma.simulator.control_client import Control
from vma.simulator.process import NotStartedError, SimulatorProcess

# Silence is judged sooner than in production, so that the demo ends within a minute; the rules are the same.
SHORTENED = {
    "policy__inference_ripe": "6s",
    "policy__absence_grace": "5s",
    "policy__polling_grace": "2s",
    "policy__poll_interval": "1s",
    "policy__poll_interval_near_end": "1s",
    "policy__monitor_interval": "5s",
}
AWAY = 3.0  # seconds that the OMA stays dead
POLLED_WITHIN = 10.0  # the promise: seconds from the start of the process
ACT_TIMEOUT = 25.0
TICK = 0.2


class DemoError(Exception):
    """Something did not come about in time."""


def play(*, keep: bool = False) -> bool:
    """Run the demo; True if every job ended where it must."""
    folder = Path(tempfile.mkdtemp(prefix="oma-fsm-demo-"))
    began = time.monotonic()
    with ExitStack() as stack:
        try:
            stage = Stage(out, folder, stack)
            stage.perform()
        except (DemoError, ServiceError, NotStartedError, RuntimeError, httpx.HTTPError) as error:
            out.print(f"The demo failed: {error}", style="bold red", markup=False)
            out.print(f"Logs and database are in {folder}", markup=False)
            return False
    good = stage.verdict(time.monotonic() - began)
    if keep or not good:
        out.print(f"Logs and database are in {folder}", markup=False)
    else:
        _remove(folder)
    return good


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


class Stage:
    """The processes of the demo and what is seen of them."""

    def __init__(self, console: Console, folder: Path, stack: ExitStack) -> None:
        self.console = console
        self.lines = [Line(actor) for actor in CAST]
        self.screen = Screen(console, self.lines)
        self._announce()
        simulator = stack.enter_context(SimulatorProcess(state=folder / "vma-state.json"))
        self.control: Control = simulator.control
        self.service = stack.enter_context(ServiceProcess(folder, simulator.url, **SHORTENED))
        self.workflow = Workflow(self.service.url, simulator.url)
        stack.callback(self.workflow.close)
        self.polled_after = 0.0
        self.screen.start()
        stack.callback(self.screen.stop)

    def _announce(self) -> None:
        self.console.print("oma-fsm demo: a simulated VMA, the service on SQLite, both as processes of their own.")
        shortened = ", ".join(f"{name.removeprefix('policy__')} {value}" for name, value in SHORTENED.items())
        self.console.print(f"Policy shortened for the demo: {shortened}\n", style="yellow")

    # --- the acts --------------------------------------------------------------------------------

    def perform(self) -> None:
        """All acts, in order."""
        self._copies_start()
        self._oma_dies()
        self._oma_returns()
        self._everything_ends()

    def _copies_start(self) -> None:
        self.screen.act("1. Jobs are created, volumes attached, copies started")
        for line in self.lines:
            line.job_id = self.workflow.create(line.actor)
            self.control.plan(line.job_id, line.actor.plan)
            if line.actor.started_before:
                self.workflow.start(line.job_id, line.actor)
        self._until("every copy runs, and db-01 has one of three disks done", self._well_under_way)

    def _well_under_way(self) -> bool:
        started = [line for line in self.lines if line.actor.started_before]
        two_on = self.control.copy(self.lines[0].job_id)
        on_second = two_on is not None and two_on.disk == "disk-2001"
        running = all(line.job.get("status") == "replicating" for line in started)
        return running and on_second and all(line.job["progress_percent"] > 5 for line in started)

    def _oma_dies(self) -> None:
        self.screen.act("2. SIGKILL: the OMA is dead. On the VMA meanwhile: " + self._fates())
        self.service.kill()
        for line in self.lines:
            line.actor.befalls(self.control, line.job_id)
        back = time.monotonic() + AWAY
        self._until("the OMA stays away for a while", lambda: time.monotonic() >= back)

    def _fates(self) -> str:
        return "; ".join(f"{line.actor.name} {line.actor.fate}" for line in self.lines)

    def _oma_returns(self) -> None:
        self.screen.act("3. The OMA starts again and puts every active job to the VMA")
        started = time.monotonic()
        self.service.start(wait=False)
        self._until("recovery has looked at every job", self._recovered)
        self.polled_after = time.monotonic() - started

    def _recovered(self) -> bool:
        status = self.workflow.oma.get("/job-recovery/status").json()
        last = status["last_recovery"]
        return bool(last and last["asked_by"] == "startup" and last["finished_at"] and last["jobs"] == len(self.lines))

    def _everything_ends(self) -> None:
        self.screen.act(f"4. All polled again {self.polled_after:.1f} s after the start; dc-01's workflow goes on")
        for line in self.lines:
            if not line.actor.started_before:
                self.workflow.start(line.job_id, line.actor)
        self._until("every job comes to its end", lambda: all(line.ended_right for line in self.lines), must=False)

    # --- looking ---------------------------------------------------------------------------------

    def _until(self, what: str, happens: Callable[[], bool], *, must: bool = True) -> None:
        deadline = time.monotonic() + ACT_TIMEOUT
        while time.monotonic() < deadline:
            self._look()
            if self._quietly(happens):
                return
            time.sleep(TICK)
        if must:
            raise DemoError(f"this did not come about within {ACT_TIMEOUT:.0f} s: {what}")

    @staticmethod
    def _quietly(happens: Callable[[], bool]) -> bool:
        """False while the service is away."""
        try:
            return happens()
        except (httpx.TransportError, KeyError):
            return False

    def _look(self) -> None:
        copies = {copy.job_id: copy for copy in self.control.copies()}
        for line in self.lines:
            copy = copies.get(line.job_id)
            line.on_vma = "" if copy is None else str(copy.state)
            if self.service.running:
                self._quietly(lambda line=line: self._read(line))  # type: ignore[misc] # bound at once
        self.screen.draw()

    def _read(self, line: Line) -> bool:
        if line.job_id:
            line.job = self.workflow.job(line.job_id)
            line.last = self.workflow.history(line.job_id)[-1]
        return True

    # --- the verdict -----------------------------------------------------------------------------

    def verdict(self, seconds: float) -> bool:
        """Say what came of it; True if all is as it must be."""
        wrong = [line for line in self.lines if not line.ended_right]
        for line in wrong:
            ended = f"{line.job.get('status')} ({line.job.get('ending')}): {line.job.get('error_message')}"
            wanted = f"{line.actor.state} ({line.actor.ending})"
            self.console.print(f"{line.actor.name} ended {ended}; it must end {wanted}", style="red", markup=False)
        late = self.polled_after > POLLED_WITHIN
        if late:
            self.console.print(f"polled again only after {self.polled_after:.1f} s", style="red")
        good = not wrong and not late
        summary = f"{len(self.lines) - len(wrong)} of {len(self.lines)} jobs ended where they must"
        self.console.print(
            f"\n{summary}; polled again {self.polled_after:.1f} s after the restart; {seconds:.0f} s in all.",
            style="bold green" if good else "bold red",
        )
        return good
