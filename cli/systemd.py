"""What systemd wants to hear of a service of `Type=notify`: that it is up, that it lives, that it stops.

The protocol is a datagram to a socket; the packages for it are unkept or need systemd's own library to be built.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

import structlog
import uvicorn

log = structlog.get_logger(__name__)


class Notifier:
    """Speaks to systemd if that started us and asked for it; otherwise says nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET")
        for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        told = environment.get("WATCHDOG_USEC", "0") if for_us else "0"
        self.patience = int(told) / 1e6 if told.isdigit() else 0.0  # seconds until it kills us; 0: never

    def say(self, *lines: str) -> None:
        """Send one message. That systemd cannot be told is logged, and no reason to stop."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.connect(address)
                to.sendall("\n".join(lines).encode())
        except OSError as error:
            log.warning("systemd could not be told", what=lines[0], why=str(error))


class NotifyingServer(uvicorn.Server):
    """A server that is a service of systemd. `alive` says whether all is well enough not to be killed and restarted.

    `stopping` is called when it begins to stop.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        alive: Callable[[], bool],
        stopping: Callable[[], None] = lambda: None,
        notifier: Notifier | None = None,
    ) -> None:
        super().__init__(config)
        self._alive, self._stopping, self._notifier = alive, stopping, notifier or Notifier()
        self._watchdog: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """The API is up: others may start, and the watchdog is fed from now on."""
        await super().startup(sockets)
        self._notifier.say("READY=1", "STATUS=serving")
        if self._notifier.patience:
            self._watchdog = asyncio.create_task(self._feed(self._notifier.patience / 3), name="watchdog")

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """Polling is still to be drained: systemd waits for that."""
        self._stopping()
        self._notifier.say("STOPPING=1", "STATUS=answers under way are written")
        if self._watchdog is not None:
            self._watchdog.cancel()
        await super().shutdown(sockets)

    async def _feed(self, every: float) -> None:
        while True:
            if self._alive():
                self._notifier.say("WATCHDOG=1")
            await asyncio.sleep(every)
