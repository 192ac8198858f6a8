"""A Redis of a test's own, that can be killed, frozen and started again."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from ports import held_port

PASSWORD = "not-to-be-logged"


def no_redis() -> dict[str, str]:
    """Why replicas of mode tooz cannot be tested here; empty if they can."""
    return {} if shutil.which("redis-server") else {"Redis": "not installed: apt-get install redis-server"}


class RedisServer:
    """On a port of its own, which stays the same; it keeps nothing over a restart."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._ends = folder, ExitStack()
        self._port = self._ends.enter_context(held_port())
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._ends.callback(self.stop)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()

    def start(self) -> None:
        """Returns when it answers."""
        command = ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1", "--requirepass", PASSWORD,
                   "--save", "", "--dir", str(self._folder), "--logfile", "redis.log"]  # fmt: skip
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.025)  # it cannot signal us
        raise TimeoutError("redis-server does not listen within 10 s")

    def stop(self) -> None:
        """All it knew is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """It takes connections, and answers nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def forget(self) -> None:
        """It is restarted, and knows nobody any more."""
        self.stop()
        self.start()
