"""A simulator in a process of its own, from synchronous code; it can be killed and started again."""

import re
import select
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from vma.simulator.control_client import Control

READY = re.compile(r"ready: data (?P<url>\S+) control (?P<control_url>\S+)")
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


class NotStartedError(Exception):
    """The simulator did not come up; its own message is on standard error."""


class SimulatorProcess:
    """Context manager: running inside, gone after. The ports stay the same over `kill` and `restart`.

    A `scenario` has its own pace: `speed` is not used then. `options` are further command line
    options of `python -m vma.simulator`.
    """

    def __init__(
        self,
        *,
        state: Path | None = None,
        speed: float = 1.0,
        scenario: Path | None = None,
        port: int = 0,
        control_port: int = 0,
        options: tuple[str, ...] = (),
    ) -> None:
        pace = ["--scenario", str(scenario)] if scenario else ["--speed", str(speed)]
        self._options = [*pace, *(["--state", str(state)] if state else []), *options]
        self._ports = (str(port), str(control_port))
        self._process: subprocess.Popen[str] | None = None
        self._control: Control | None = None
        self.url = ""
        self.control_url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def control(self) -> Control:
        """A client of the control port, good until the next start."""
        if self._control is None:
            raise NotStartedError("the simulator is not running: call start() first")
        return self._control

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Returns when both ports answer. Raises NotStartedError."""
        port, control_port = self._ports
        command = [sys.executable, "-m", "vma.simulator", "--stop-with-stdin", *self._options]
        command += ["--port", port, "--control-port", control_port]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._read_addresses(self._process)
        self._control = Control(self.control_url)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not help."""
        self._end(gently=True)

    def kill(self) -> None:
        """SIGKILL: nothing is put away."""
        self._end(gently=False)

    def wait(self, timeout_s: float) -> int:
        """The exit status of a simulator that ends by itself. Raises subprocess.TimeoutExpired."""
        if self._process is None:
            raise NotStartedError("the simulator is not running: call start() first")
        return self._process.wait(timeout_s)

    def restart(self) -> None:
        """Start again on the same ports; a running one is killed first."""
        self.kill()
        self.start()

    def _read_addresses(self, process: subprocess.Popen[str]) -> None:
        if process.stdout is None:  # it is a pipe, by construction
            raise NotStartedError("no standard output")
        readable, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
        found = READY.search(process.stdout.readline() if readable else "")
        if found is None:
            self.kill()
            raise NotStartedError("the VMA simulator did not start; see its message on standard error")
        self.url, self.control_url = found["url"], found["control_url"]
        self._ports = (self.url.rpartition(":")[2], self.control_url.rpartition(":")[2])

    def _end(self, *, gently: bool) -> None:
        if self._control is not None:
            self._control.close()
        process, self._process, self._control = self._process, None, None
        if process is None:
            return
        if gently:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
        else:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
