"""The transport against those who keep it waiting, pour without end, or go away: time and memory stay bounded."""

import asyncio
import socket
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import httpx
import pytest
import standing_clock
from raw_server import HOST, RawServer, Say, hang, response, serving
from standing_clock import pass_time
from vma_answers import NOW

from fsm.states import Verdict
from vma.client import VmaClient, VmaLimits
from vma.question import Question
from vma.transport import TotalTimeout, VmaTransport

OK = response(200, b"{}")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


def request(url: str, connect: float = 5.0, read: float = 5.0, total: float = 5.0) -> httpx.Request:
    return httpx.Request("GET", url, extensions={"timeout": {"connect": connect, "read": read, "total": total}})


async def fetch(transport: VmaTransport, asked: httpx.Request) -> bytes:
    return await (await transport.handle_async_request(asked)).aread()


def against(
    answer: Say | bytes,
    work: Callable[[VmaTransport, RawServer], Awaitable[Any]],
    run: Callable[[Coroutine[Any, Any, Any]], Any] = asyncio.run,
) -> Any:
    async def play() -> Any:
        async with serving({"*": answer}) as server, VmaTransport() as transport:
            return await work(transport, server)

    return run(play())


def dripping(every: float) -> Say:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for _n in range(100):
            writer.write(b" ")
            await asyncio.sleep(every)

    return drip


# --- time --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "limits", "error"),
    [
        (hang, {"read": 0.1}, httpx.ReadTimeout),
        (HEAD + b"x", {"read": 0.1}, httpx.ReadTimeout),
        (hang, {"total": 0.1}, TotalTimeout),
        (dripping(0.02), {"read": 2.0, "total": 0.15}, TotalTimeout),
    ],
    ids=["no answer", "no more of it", "no answer at all in time", "too slow as a whole"],
)
def test_whoever_keeps_us_waiting_is_given_up(answer: Say | bytes, limits: dict[str, float], error: type) -> None:
    async def work(transport: VmaTransport, server: RawServer) -> float:
        began = time.monotonic()
        with pytest.raises(error) as caught:
            await fetch(transport, request(server.url, **limits))
        assert type(caught.value) is error
        return time.monotonic() - began

    assert min(limits.values()) - 0.01 <= against(answer, work) < 2.0


def test_a_slow_answer_is_waited_for_while_bytes_come() -> None:
    async def slowly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in (OK[:10], OK[10:20], OK[20:30], OK[30:]):
            await pass_time(0.19)
            writer.write(part)

    answer = against(
        slowly, lambda transport, server: fetch(transport, request(server.url, read=0.2)), standing_clock.run
    )
    assert answer == b"{}"


def test_each_question_has_its_own_time_whatever_came_before_on_its_connection() -> None:
    async def late(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pass_time(0.19)
        writer.write(OK)

    async def work(transport: VmaTransport, server: RawServer) -> None:
        for _ in range(4):  # the connection's timer goes off in the middle of some of them
            assert await fetch(transport, request(server.url, read=0.25)) == b"{}"
        assert server.connections == 1

    against(late, work, standing_clock.run)


def test_a_question_in_a_hurry_is_given_up_in_time_on_a_connection_that_was_patient() -> None:
    async def work(transport: VmaTransport, server: RawServer) -> float:
        await fetch(transport, request(server.url, read=4.0, total=4.0))
        server.answers = {"*": hang}
        began = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            await fetch(transport, request(server.url, read=0.05))
        assert server.connections == 1
        return time.monotonic() - began

    assert against(OK, work) < 2.0


@pytest.mark.parametrize(
    ("limits", "error"), [({"connect": 0.1}, httpx.ConnectTimeout), ({"total": 0.1}, TotalTimeout)]
)
def test_a_connection_that_is_never_made_is_given_up(limits: dict[str, float], error: type) -> None:
    async def work(url: str) -> None:
        async with VmaTransport() as transport:
            with pytest.raises(error):
                await fetch(transport, request(url, **limits))

    with socket.socket() as full:
        full.bind((HOST, 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        asyncio.run(work(f"http://{HOST}:{full.getsockname()[1]}"))
        for filler in fillers:
            filler.close()


# --- cancelled ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [b"", HEAD[:20], HEAD + b"x"], ids=["nothing came", "in the head", "in the body"])
def test_a_cancelled_question_closes_its_connection_and_leaves_the_next_alone(begun: bytes) -> None:
    async def work(transport: VmaTransport, server: RawServer) -> None:
        asked, gone = asyncio.Event(), asyncio.Event()

        async def stop_there(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(begun)
            asked.set()
            with suppress(ConnectionError):
                await reader.read()
            gone.set()

        server.answers = {"*": stop_there}
        under_way = asyncio.create_task(fetch(transport, request(server.url)))
        await asked.wait()
        await asyncio.sleep(0.02)
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
        await asyncio.wait_for(gone.wait(), 2)
        server.answers = {"*": OK}
        assert await fetch(transport, request(server.url)) == b"{}"
        assert server.connections == 2

    against(OK, work)


# --- memory ---------------------------------------------------------------------------------------------


def pouring(head: bytes, counted: list[int]) -> Say:
    """A body without end, as fast as it is taken."""
    piece = b"x" * 16_384

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"4000\r\n%b\r\n" % piece if b"chunked" in head else piece)
                counted[0] += len(piece)
                await writer.drain()

    return pour


@pytest.mark.parametrize(
    ("head", "jobs"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n", 40),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\n\r\n", 40),
    ],
    ids=["of a length", "in chunks", "without an end"],
)
def test_many_bodies_without_end_are_cut_and_kept_to_their_bound(head: bytes, jobs: int) -> None:
    bound, sent = 50_000, [0]

    async def work() -> int:
        async with serving({"*": pouring(head, sent)}) as server:
            limits = VmaLimits(
                connect=60, read=60, total=60, max_body=bound, in_flight=jobs
            )  # a busy machine is no fault
            client = VmaClient(server.url, limits=limits)
            tracemalloc.start()
            questions = [Question(f"job-{n}", NOW, own_id_only=True) for n in range(jobs)]
            found = await asyncio.gather(*map(client.ask, questions))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            await client.aclose()
        assert {e.verdict for e in found} == {Verdict.UNINTELLIGIBLE}
        assert all(f"reading stopped after {bound} bytes" in (e.error or "") for e in found)
        return peak

    # Of each: what was read of its body, what waits to be taken, as much again on the side of the server, one copy.
    assert asyncio.run(work()) < jobs * 3 * 65_536
    assert sent[0] < jobs * 10_000_000  # the rest is what sockets hold


def test_a_body_that_nobody_takes_is_not_read_beyond_a_bound() -> None:
    async def work(transport: VmaTransport, server: RawServer) -> int:
        sent = [0]
        server.answers = {"*": pouring(b"HTTP/1.1 200 OK\r\n\r\n", sent)}
        answer = await transport.handle_async_request(request(server.url, read=0.05))
        before = -1
        while before != sent[0]:  # until the server cannot send any more
            before = sent[0]
            await pass_time(0.1)  # which is longer than `read`: silence that is our own is no time-out
        chunks = answer.aiter_raw()
        waiting = len(await anext(chunks))
        assert await anext(chunks)  # and it goes on
        await answer.aclose()
        return waiting

    assert 65_536 <= against(OK, work, standing_clock.run) <= 2 * 65_536
