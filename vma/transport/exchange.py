"""One question and its answer, as it arrives."""

import asyncio
from typing import Final, Protocol

import httpx

Header = tuple[bytes, bytes]
MAX_UNREAD: Final = 2**16  # bytes of a body that wait for their reader; no more is read from the socket then


class TotalTimeout(httpx.ReadTimeout):
    """An answer came, but was not complete in time."""


class Source(Protocol):
    """Where an answer comes from: its connection."""

    def abort(self) -> None:
        """Close at once."""

    def resume(self, exchange: "Exchange") -> None:
        """The reader of this exchange has caught up."""


class Exchange(httpx.AsyncByteStream):
    """The stream of an answer's body; `begun` is done when the head is there. Closed early, it closes its connection.

    `read` is how many seconds may pass without a byte, `deadline` (loop time) when the answer must be complete.
    """

    def __init__(self, source: Source, loop: asyncio.AbstractEventLoop, read: float, deadline: float) -> None:
        self.read, self.deadline = read, deadline
        self.status = 0  # 0 until the head is there
        self.headers: list[Header] = []
        self.received = False  # some byte of the answer came
        self.complete = False
        self.begun: asyncio.Future[None] = loop.create_future()
        self._source, self._loop = source, loop
        self._error: httpx.TransportError | None = None
        self._unread = bytearray()
        self._arrival: asyncio.Future[None] | None = None

    def __aiter__(self) -> "Exchange":
        return self

    async def __anext__(self) -> bytes:
        """What has arrived since the last time. Raises httpx.TransportError if the answer breaks off."""
        while not self._unread:
            if self._error is not None:
                raise self._error
            if self.complete:
                raise StopAsyncIteration
            await self._more()
        chunk = bytes(self._unread)
        self._unread.clear()
        self._source.resume(self)
        return chunk

    @property
    def unread(self) -> int:
        """Bytes that wait for their reader."""
        return len(self._unread)

    def rest(self) -> bytes:
        """What nobody has read yet of an answer that is complete."""
        chunk = bytes(self._unread)
        self._unread.clear()
        return chunk

    async def _more(self) -> None:
        self._arrival = self._loop.create_future()
        try:
            await self._arrival
        except asyncio.CancelledError:
            self.abandon()
            raise

    async def aclose(self) -> None:
        """Nobody reads on."""
        self.abandon()

    def abandon(self) -> None:
        """A connection in the middle of an answer is of no more use: close it."""
        if not self.complete:
            self._source.abort()

    # --- told by the connection -----------------------------------------------------------------------

    @property
    def crowded(self) -> bool:
        """True if enough is waiting for its reader."""
        return self.unread >= MAX_UNREAD

    def begin(self, status: int) -> None:
        """The head is there, and `headers` are all."""
        self.status = status
        if not self.begun.done():
            self.begun.set_result(None)

    def take(self, data: bytes) -> None:
        """More of the body."""
        self._unread += data
        self._wake()

    def end(self) -> None:
        """The answer is complete."""
        self.complete = True
        self._wake()

    def fail(self, error: httpx.TransportError) -> None:
        """No more will come."""
        self._error = error
        if not self.begun.done():
            self.begun.set_exception(error)
        self._wake()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
