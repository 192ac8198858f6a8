"""Progress answers per second: our transport and client beside plain httpx, aiohttp and a bare socket, in one run.

All of them ask the same server, which runs in a process of its own, and read the body as bytes. Only the last line
does more: `VmaClient.ask` makes evidence of every answer. Each contender uses one process and one event loop.

Run: python benchmarks/ask.py [in flight ...]
"""

import asyncio
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import cast

import httpx
import structlog
from answering import BODY, KEY

from fsm.facts import Disk
from fsm.states import Verdict
from vma.client import VmaClient, VmaLimits
from vma.question import Question
from vma.transport import VmaTransport

try:
    import aiohttp
except ImportError:
    aiohttp = None  # type: ignore[assignment]

IN_FLIGHT = (8, 32, 128, 200)
SECONDS, ROUNDS = 0.5, 3  # per measurement; the best round counts: the others were disturbed
PATH = f"/api/v1/progress/{KEY}"
PACKAGES = ("httpx", "httpcore", "httptools", "aiohttp", "msgspec")
NOW = datetime.now(UTC)
QUESTION = Question("job-1", NOW - timedelta(hours=1), (Disk("disk-2000", KEY.removeprefix("migration-vol-"), 2**35),))
Ask = Callable[[], Awaitable[object]]


# --- contenders -------------------------------------------------------------------------------------


@asynccontextmanager
async def plain_httpx(url: str, limits: VmaLimits) -> AsyncIterator[Ask]:
    """As anybody would write it."""
    pool = httpx.Limits(max_connections=limits.in_flight, max_keepalive_connections=limits.in_flight)
    async with httpx.AsyncClient(timeout=60, limits=pool, trust_env=False) as client:

        async def ask() -> bytes:
            return (await client.get(url + PATH)).content

        yield ask


@asynccontextmanager
async def httpx_with_ours(url: str, limits: VmaLimits) -> AsyncIterator[Ask]:
    """The same, with our transport."""
    async with httpx.AsyncClient(timeout=60, transport=VmaTransport(keep=limits.in_flight)) as client:

        async def ask() -> bytes:
            return (await client.get(url + PATH)).content

        yield ask


@asynccontextmanager
async def with_aiohttp(url: str, limits: VmaLimits) -> AsyncIterator[Ask]:
    """aiohttp, its parser in C."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=limits.in_flight)) as session:

        async def ask() -> bytes:
            async with session.get(url + PATH) as response:
                return await response.read()

        yield ask


class Bare(asyncio.Protocol):
    """The least that asyncio allows: no parser, no time-outs; the answer is there when its body is."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """More of the answer."""
        self.data += data
        if self.data.endswith(BODY):
            self.answer.set_result(self.data[-len(BODY) :])

    def ask(self, request: bytes) -> "asyncio.Future[bytes]":
        """Send a question."""
        self.data, self.answer = b"", asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answer


@asynccontextmanager
async def bare_socket(url: str, limits: VmaLimits) -> AsyncIterator[Ask]:
    """One connection for each in flight."""
    address, loop = httpx.URL(url), asyncio.get_running_loop()
    connecting = [loop.create_connection(Bare, address.host, address.port) for _ in range(limits.in_flight)]
    idle = [connection for _, connection in await asyncio.gather(*connecting)]
    request = f"GET {PATH} HTTP/1.1\r\nHost: {address.host}\r\n\r\n".encode()

    async def ask() -> bytes:
        connection = idle.pop()
        answer = await connection.ask(request)
        idle.append(connection)
        return answer

    yield ask
    for connection in idle:
        connection.transport.close()


@asynccontextmanager
async def transport_alone(url: str, limits: VmaLimits) -> AsyncIterator[Ask]:
    """Our transport, the request made once."""
    async with VmaTransport(keep=limits.in_flight) as transport:
        seconds = {"connect": limits.connect, "read": limits.read, "total": limits.total}
        written = transport.write(httpx.Request("GET", url + PATH, extensions={"timeout": seconds}))

        async def ask() -> bytes:
            return b"".join([chunk async for chunk in await transport.ask(written)])

        yield ask


@asynccontextmanager
async def into_evidence(url: str, limits: VmaLimits) -> AsyncIterator[Ask]:
    """All of it: keys, request, answer, evidence."""
    client = VmaClient(url, limits=limits)

    async def ask() -> bytes:
        evidence = await client.ask(QUESTION)
        return BODY if (evidence.verdict, evidence.percent) == (Verdict.RUNNING, 25.0) else b""

    yield ask
    await client.aclose()


CONTENDERS = {
    "plain httpx": plain_httpx,
    "httpx, our transport": httpx_with_ours,
    **({} if aiohttp is None else {"aiohttp": with_aiohttp}),
    "bare socket": bare_socket,
    "transport alone": transport_alone,
    "VmaClient.ask": into_evidence,
}


# --- measuring --------------------------------------------------------------------------------------


async def measured(contender: str, url: str, in_flight: int) -> tuple[float, float]:
    """Answers per second, and µs of processor per answer. Connections are made before."""
    answers = 0
    async with CONTENDERS[contender](url, VmaLimits(in_flight=in_flight)) as ask:

        async def worker(until: float) -> None:
            nonlocal answers
            while True:
                if await ask() != BODY:
                    raise SystemExit(f"{contender} read something else than what was sent")
                answers += 1
                if time.perf_counter() >= until:
                    return

        await asyncio.gather(*(worker(0.0) for _ in range(in_flight)))
        answers, began, spent = 0, time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker(began + SECONDS) for _ in range(in_flight)))
        return answers / (time.perf_counter() - began), (time.process_time() - spent) / answers * 1e6


def best(contender: str, url: str, in_flight: int) -> tuple[float, float]:
    """Of several rounds; a contender that is slow takes long enough for one."""
    found: list[tuple[float, float]] = []
    while len(found) < ROUNDS and (not found or found[-1][0] > 10 * in_flight):
        found.append(asyncio.run(measured(contender, url, in_flight)))
    return max(rate for rate, _ in found), min(cost for _, cost in found)


def table(url: str, counts: list[int]) -> dict[str, list[tuple[float, float]]]:
    """By contender, for each number in flight."""
    return {name: [best(name, url, count) for count in counts] for name in CONTENDERS}


def main() -> None:
    """Measure and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    counts = [int(word) for word in sys.argv[1:]] or list(IN_FLIGHT)
    server = Path(__file__).with_name("answering.py")
    with subprocess.Popen([sys.executable, server], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            before = os.getloadavg()[0]
            found = table(f"http://127.0.0.1:{port}", counts)
        finally:
            process.kill()
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES if name != "aiohttp" or aiohttp)
    print(f"Python {platform.python_version()}, {versions}, {os.cpu_count()} CPUs, load {before:.1f} before")
    print(
        f"answers per second (µs of processor per answer), best of {ROUNDS} rounds of {SECONDS} s; {len(BODY)} bytes\n"
    )
    print(f"{'in flight':22}" + "".join(f"{count:>16}" for count in counts))
    for name, row in found.items():
        print(f"{name:22}" + "".join(f"{f'{rate:,.0f} ({cost:.0f})':>16}" for rate, cost in row))
    base = max(rate for rate, _ in found["plain httpx"])
    slowest = min(rate for rate, _ in found["VmaClient.ask"])
    print(f"\nVmaClient.ask at its slowest is {slowest / base:.1f} times plain httpx at its best")


if __name__ == "__main__":
    main()
