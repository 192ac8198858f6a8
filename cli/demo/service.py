"""The service as a process of its own, to be killed and started again: for the demo and for tests."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

START_TIMEOUT = 60.0  # seconds: two take a quiet machine, fifteen a third of a processor
STOP_TIMEOUT = 10.0  # the service drains within 8


class ServiceError(Exception):
    """The service did not come up, or not down; the text says where its log is."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServiceProcess:
    """`oma-fsm serve` in its own interpreter. Port, database and log stay the same over kill and start."""

    def __init__(self, folder: Path, vma_url: str, *, database_url: str | None = None, **settings: object) -> None:
        port = settings.get("port")
        self.port = port if isinstance(port, int) else free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "service.log"
        self.database_url = database_url or f"sqlite:///{folder / 'oma-fsm.db'}"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OMA_FSM_")},
            "OMA_FSM_DATABASE_URL": self.database_url,
            "OMA_FSM_PORT": str(self.port),
            "OMA_FSM_VMA__URL": vma_url,
            "OMA_FSM_LOG_FORMAT": "json",
            **{f"OMA_FSM_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()

    @property
    def running(self) -> bool:
        """True until it is killed or ends by itself."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id. ServiceError if it does not run."""
        return self._alive().pid

    def start(self, *, wait: bool = True) -> None:
        """Start it; returns when the API answers. ServiceError if it ends instead."""
        command = [sys.executable, "-m", "cli.main", "serve"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 # our own interpreter and module
                command, env=self._environment, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        if wait:
            self.wait_until_up()

    def wait_until_up(self, seconds: float = START_TIMEOUT) -> None:
        """Returns when the API answers. ServiceError if it does not within so many seconds."""
        process, deadline = self._alive(), time.monotonic() + seconds
        with httpx.Client(timeout=1.0, trust_env=False) as client:  # one: each costs as much as a dozen requests
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    raise ServiceError(f"the service ended with status {process.returncode}; see {self.log}")
                try:
                    client.get(f"{self.url}/healthz")
                except httpx.TransportError:
                    time.sleep(0.05)
                else:
                    return
        raise ServiceError(f"the service did not answer within {seconds:.0f} s; see {self.log}")

    def kill(self) -> None:
        """SIGKILL: nothing is written, nothing is said."""
        process = self._alive()
        process.kill()
        process.wait()
        self._process = None

    def stop(self) -> int:
        """SIGTERM; its exit status. ServiceError if it does not end in time."""
        process = self._alive()
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise ServiceError(f"the service did not stop within {STOP_TIMEOUT:.0f} s; see {self.log}") from None
        self._process = None
        return status

    def wait(self, seconds: float) -> int:
        """The exit status of a service that ends by itself."""
        status = self._alive().wait(seconds)
        self._process = None
        return status

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServiceError("the service does not run: call start() first")
        return self._process
