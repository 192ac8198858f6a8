"""A transport for questions under httpx's interface: `httpx.AsyncClient(transport=VmaTransport())` works.

httpx's own pool looks through all requests and connections at every step, so it gets slower with each one in
flight. Here a question costs the same whatever else is under way (docs/benchmarks.md).
"""

import asyncio
import ssl
from typing import Final

import httpx

from vma.transport.exchange import Exchange
from vma.transport.pool import Pool
from vma.transport.request import Written

PORTS: Final = {"http": 80, "https": 443}


class VmaTransport(httpx.AsyncBaseTransport):
    """Asks with GET, over HTTP/1.1, with or without TLS; no proxies, redirects, cookies or compression.

    `keep` bounds the idle connections per origin. Time-outs are those of the request: `connect` and `read` as
    httpx has them, and `total` seconds for the whole exchange. A connection that was used before and is closed
    without a byte of the answer was stale: the question is put once more, on a new one.
    """

    def __init__(self, *, keep: int = 8, tls: ssl.SSLContext | None = None) -> None:
        self._keep, self._tls = keep, tls
        self._pools: dict[tuple[str, str, int], Pool] = {}
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, with its body still to be read. Raises httpx.TransportError."""
        exchange = await self.ask(self.write(request))
        return httpx.Response(exchange.status, headers=exchange.headers, stream=exchange)

    def write(self, request: httpx.Request) -> Written:
        """The request, ready to be asked any number of times.

        Raises httpx.LocalProtocolError if it is more than a question, httpx.UnsupportedProtocol by its scheme.
        """
        return Written.of(request, self._pool(request.url))

    async def ask(self, written: Written) -> Exchange:
        """What `handle_async_request` does, without making a response of it: the head of the answer is there."""
        if self._closed:
            raise RuntimeError("the transport has been closed")
        now = asyncio.get_running_loop().time()
        deadline = now + written.total
        used = written.pool.take(now)
        if used is not None:
            exchange = used.ask(written.message, written.read, deadline)
            if await _answered(exchange, again=True):
                return exchange
        fresh = await written.pool.connect(written.connect, deadline)
        exchange = fresh.ask(written.message, written.read, deadline)
        await _answered(exchange, again=False)
        return exchange

    async def aclose(self) -> None:
        """Close all connections; what is under way fails."""
        self._closed = True
        for pool in self._pools.values():
            pool.close()
        await asyncio.sleep(0)  # sockets are closed by the loop

    def _pool(self, url: httpx.URL) -> Pool:
        origin = (url.scheme, url.host, url.port or PORTS.get(url.scheme, 0))
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = self._new_pool(*origin)
        return pool

    def _new_pool(self, scheme: str, host: str, port: int) -> Pool:
        if scheme not in PORTS:
            raise httpx.UnsupportedProtocol(f"the scheme must be http or https, not {scheme!r}")
        if scheme == "https" and self._tls is None:
            self._tls = httpx.create_ssl_context(trust_env=False)
        return Pool(host, port, keep=self._keep, tls=self._tls if scheme == "https" else None)


async def _answered(exchange: Exchange, *, again: bool) -> bool:
    """Wait for the head of an answer. False if it may be asked for `again`: its connection was stale."""
    try:
        await exchange.begun
    except (httpx.RemoteProtocolError, httpx.NetworkError):
        if exchange.received or not again:
            raise
        return False
    except BaseException:
        exchange.abandon()
        raise
    return True
