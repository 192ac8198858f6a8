"""The connections to one origin: those that are idle wait to be used again, the latest first."""

import asyncio
import os
import re
import ssl
from collections import deque
from typing import Any, Final

import httpx

from vma.transport.connection import READ_SIZE, Connection
from vma.transport.exchange import TotalTimeout

MAX_AGE: Final = 30.0  # seconds that a connection may be idle
NEXT_ADDRESS: Final = 0.25  # seconds until a host's next address is tried beside the last


class Pool:
    """At most `keep` idle connections. How many are asked at a time is up to whoever asks."""

    def __init__(self, host: str, port: int, *, keep: int, tls: ssl.SSLContext | None = None) -> None:
        self.host, self.port, self.keep = host, port, keep
        self._tls = tls
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._open: set[Connection] = set()
        self._idle: deque[Connection] = deque()

    def take(self, now: float) -> Connection | None:
        """An idle connection that is fit for use; None if a new one is needed. `now` in loop time."""
        while self._idle and now - self._idle[0].released_at > MAX_AGE:
            self._idle.popleft().abort()
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def connect(self, connect: float, deadline: float) -> Connection:
        """A new connection: within `connect` seconds, and before `deadline` (loop time).

        Raises httpx.ConnectError (with its cause), httpx.ConnectTimeout, TotalTimeout.
        """
        loop = asyncio.get_running_loop()
        left = deadline - loop.time()
        try:
            async with asyncio.timeout(min(connect, left)):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._buffer, loop, self._release, self._forget),
                    self.host,
                    self.port,
                    ssl=self._tls,
                    **_several_addresses(loop),
                )
        except TimeoutError as error:
            late = httpx.ConnectTimeout if connect < left else TotalTimeout
            raise late("not connected in time") from error
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(str(error)) from _telling(error)
        self._open.add(connection)
        return connection

    def close(self) -> None:
        """Close all connections, whatever is under way."""
        for connection in list(self._open):
            connection.abort()

    def _release(self, connection: Connection) -> None:
        if len(self._idle) < self.keep:
            self._idle.append(connection)
        else:
            connection.abort()

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)


def _telling(error: Exception) -> Exception:
    """The error of the first address, if asyncio has put those of several into one text without a number."""
    told = re.search(r"\[Errno (\d+)\] Connect call failed", str(error))
    return OSError(int(told[1]), os.strerror(int(told[1]))) if told else error


def _several_addresses(loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    """Other event loops (uvloop) try a host's addresses one after another, and take no such option."""
    return {"happy_eyeballs_delay": NEXT_ADDRESS} if isinstance(loop, asyncio.BaseEventLoop) else {}
