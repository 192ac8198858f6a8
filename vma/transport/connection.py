"""One keep-alive connection: a question goes out, its answer is parsed as it arrives.

The parser is llhttp (httptools). What it leaves to its user is here:

1. A connection is idle, or it has exactly one exchange. It is released for the next question only when
   an answer is complete by its own framing, allows it, and nothing follows it.
2. An answer without framing (no length, no chunks) ends with the stream; any other was then cut off.
3. Bytes that nobody asked for, after an answer or while idle, close the connection.
4. What is kept is bounded: of a body, reading pauses at `MAX_UNREAD`; of all else that comes without a byte of
   body (head, interim answers, framing of chunks, trailers) `MAX_IDLE` ends the exchange.
5. There is one timer per connection, not per question. It goes off at most once per time-out and then looks
   whether anything is due.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

import httptools
import httpx

from vma.transport.exchange import Exchange, Header, TotalTimeout

READ_SIZE: Final = 2**16  # bytes taken from a socket at a time
MAX_IDLE: Final = 2**16  # bytes in a row without a byte of body
INTERIM: Final = range(100, 200)  # status codes that announce the answer and are none
SILENT: Final = "Server disconnected without sending a response."
CUT: Final = "peer closed connection without sending complete message body"


class Connection(asyncio.BufferedProtocol):
    """One socket. `buffer` may be shared by all connections of a loop: what is read is parsed at once.

    `released` is called when the connection may be asked again, `lost` when it is closed.
    """

    def __init__(
        self,
        buffer: memoryview,
        loop: asyncio.AbstractEventLoop,
        released: "Callable[[Connection], None]",
        lost: "Callable[[Connection], None]",
    ) -> None:
        self.released_at = 0.0  # loop time
        self._buffer, self._loop = buffer, loop
        self._released, self._lost = released, lost
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._keep = False  # the answer lets the connection be used again
        self._paused = False
        self._useless = 0  # bytes read since the last one of a body
        self._heard = 0.0  # loop time
        self._timer: asyncio.TimerHandle | None = None

    @property
    def usable(self) -> bool:
        """True if it can be asked."""
        return self._exchange is None and not self._transport.is_closing()

    def ask(self, request: bytes, read: float, deadline: float) -> Exchange:
        """Send a request. Only while usable. Times as in `Exchange`."""
        exchange = self._exchange = Exchange(self, self._loop, read, deadline)
        self._useless = 0
        self._watch(exchange)
        self._transport.write(request)
        return exchange

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._transport.abort()

    def resume(self, exchange: Exchange) -> None:
        """The reader of this exchange has caught up."""
        if self._paused and exchange is self._exchange:
            self._paused = False
            self._watch(exchange)
            self._transport.resume_reading()

    # --- asyncio --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the base class's name
        """Where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came."""
        exchange = self._exchange
        if exchange is None:
            self.abort()
            return
        exchange.received = True
        self._heard = self._loop.time()
        self._useless += nbytes
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._spoilt(exchange, error)
        if exchange.complete:
            self._finish()
        elif self._useless > MAX_IDLE:
            self._fail(httpx.RemoteProtocolError(f"more than {MAX_IDLE} bytes of header fields"))
        elif exchange.crowded:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """The other side says no more; returning None closes the connection."""
        exchange = self._exchange
        if exchange is not None and exchange.status and not _framed(exchange.headers):
            self._exchange = None
            exchange.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by whomever: an answer that is not complete by now will not be."""
        if self._exchange is not None:
            self._fail(_cut_off(self._exchange, exc))
        if self._timer is not None:
            self._timer.cancel()
        del self._parser  # which knows us
        self._lost(self)

    # --- the parser -----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A message begins: one that follows the answer is not wanted."""
        if self._exchange is not None and self._exchange.complete:
            self._keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field, or one of the trailers, which are dropped."""
        exchange = self._exchange
        if exchange is not None and not exchange.status:
            exchange.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The end of a head."""
        exchange, status = self._exchange, self._parser.get_status_code()
        if exchange is None or exchange.complete:
            return
        if status in INTERIM:
            exchange.headers.clear()
        elif status < INTERIM.start:
            self._fail(httpx.RemoteProtocolError(f"{status} is no status code"))
        else:
            self._keep = self._parser.should_keep_alive()
            exchange.begin(status)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        exchange = self._exchange
        if exchange is not None and not exchange.complete:
            self._useless = 0
            exchange.take(data)

    def on_message_complete(self) -> None:
        """The end of a message."""
        exchange = self._exchange
        if exchange is not None and exchange.status:
            exchange.end()

    # --- how an exchange ends ---------------------------------------------------------------------------

    def _finish(self) -> None:
        """The answer is complete."""
        self._exchange = None
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        if self._keep and not self._transport.is_closing():
            self.released_at = self._heard
            self._released(self)
        else:
            self.abort()

    def _spoilt(self, exchange: Exchange, error: Exception) -> None:
        """No HTTP: an answer that was complete before stands, the connection does not."""
        self._keep = False
        if not exchange.complete:
            self._fail(httpx.RemoteProtocolError(str(error)))

    def _fail(self, error: httpx.TransportError) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.fail(error)
        self.abort()

    # --- time -----------------------------------------------------------------------------------------

    def _watch(self, exchange: Exchange) -> None:
        """Count from now on, and see to it that the timer goes off in time."""
        self._heard = self._loop.time()
        due = self._due(exchange)
        if self._timer is not None and self._timer.when() > due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._look)

    def _due(self, exchange: Exchange) -> float:
        """When the exchange has lasted too long, in loop time. While we do not read, silence is our own."""
        return exchange.deadline if self._paused else min(self._heard + exchange.read, exchange.deadline)

    def _look(self) -> None:
        self._timer, exchange = None, self._exchange
        if exchange is None:
            return
        now = self._loop.time()
        if now < self._due(exchange):
            self._timer = self._loop.call_at(self._due(exchange), self._look)
        elif now < exchange.deadline:
            self._fail(httpx.ReadTimeout("no byte in time"))
        else:
            self._fail(TotalTimeout("not complete in time"))


def _framed(headers: list[Header]) -> bool:
    """True if the head says where the body ends."""
    fields = {name.lower(): value.lower() for name, value in headers}
    codings = fields.get(b"transfer-encoding")
    return b"content-length" in fields if codings is None else codings.strip().endswith(b"chunked")


def _cut_off(exchange: Exchange, cause: Exception | None) -> httpx.TransportError:
    """What a connection's end says of an answer that was not complete, in the words of httpx's own transport."""
    if cause is None:
        return httpx.RemoteProtocolError(CUT if exchange.status else SILENT)
    error = httpx.ReadError(str(cause))
    error.__cause__ = cause
    return error
