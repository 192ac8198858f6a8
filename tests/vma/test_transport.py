"""The transport over real sockets: which connection is used, and what is asked again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from raw_server import HOST, NOT_FOUND, RawServer, Say, reset, response, say, serving

from vma.transport import VmaTransport

OK = response(200, b"{}", X="y")
CUT_OFF = say(b"HTTP/1.1 200", close=True)
SILENT_END = say(close=True)


def request(server: RawServer, path: str = "/", read: float = 5.0, total: float = 5.0) -> httpx.Request:
    return httpx.Request(
        "GET", server.url + path, extensions={"timeout": {"connect": 5.0, "read": read, "total": total}}
    )


async def fetch(transport: VmaTransport, asked: httpx.Request) -> bytes:
    return await (await transport.handle_async_request(asked)).aread()


def one_after_another(*answers: Say | bytes) -> Say:
    """The first question is answered with the first of these, and so on, whatever the connection."""
    left: Iterator[Say | bytes] = iter(answers)

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = next(left)
        await (say(answer) if isinstance(answer, bytes) else answer)(reader, writer)

    return speak


@asynccontextmanager
async def transport_to(answer: Say | bytes, keep: int = 8) -> AsyncIterator[tuple[VmaTransport, RawServer]]:
    async with serving({"*": answer}) as server, VmaTransport(keep=keep) as transport:
        yield transport, server


def exchange(
    answer: Say | bytes, work: Callable[[VmaTransport, RawServer], Awaitable[Any]], keep: int = 8
) -> tuple[Any, RawServer]:
    async def run() -> tuple[Any, RawServer]:
        async with transport_to(answer, keep) as (transport, server):
            return await work(transport, server), server

    return asyncio.run(run())


async def twice(transport: VmaTransport, server: RawServer) -> list[bytes]:
    return [await fetch(transport, request(server)) for _ in range(2)]


def test_a_client_of_httpx_can_use_it() -> None:
    async def work(transport: VmaTransport, server: RawServer) -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, params={"a": "b c"}) as client:
            return await client.get(server.url + "/x", headers={"Accept": "text/plain"})

    found, server = exchange(OK, work)
    assert (found.status_code, found.json(), found.headers["x"]) == (200, {}, "y")
    assert found.http_version == "HTTP/1.1"
    assert server.heads[0].startswith(f"GET /x?a=b+c HTTP/1.1\r\nHost: {server.url.removeprefix('http://')}\r\n")
    assert "\r\nAccept: text/plain\r\n" in server.heads[0]


def test_its_faults_are_those_of_httpx() -> None:
    async def work(transport: VmaTransport, server: RawServer) -> None:
        async with httpx.AsyncClient(transport=transport, timeout=0.1) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get(server.url)

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    exchange(wait, work)


# --- which connection --------------------------------------------------------------------------------


def test_the_connection_that_was_used_last_is_used_next() -> None:
    async def own_name(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response(200, b"%d" % writer.get_extra_info("peername")[1]))

    async def work(transport: VmaTransport, server: RawServer) -> None:
        names = await asyncio.gather(*(fetch(transport, request(server)) for _ in range(4)))
        assert len(set(names)) == 4
        assert len({await fetch(transport, request(server)) for _ in range(4)}) == 1

    exchange(own_name, work)


def test_no_more_connections_are_kept_than_wanted() -> None:
    async def work(transport: VmaTransport, server: RawServer) -> list[int]:
        counts = []
        for _ in range(3):
            await asyncio.gather(*(fetch(transport, request(server)) for _ in range(5)))
            counts.append(server.connections)
        for _ in range(4):
            await fetch(transport, request(server))
        return [*counts, server.connections]

    assert exchange(OK, work, keep=5)[0] == [5, 5, 5, 5]
    assert exchange(OK, work, keep=2)[0] == [5, 8, 11, 11]


def test_two_hundred_in_flight_each_get_their_own_answer() -> None:
    def answer_with(n: int, all_are_there: asyncio.Barrier) -> Say:
        async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await all_are_there.wait()
            writer.write(response(200, b"%d" % n))

        return speak

    async def work(transport: VmaTransport, server: RawServer) -> None:
        barrier = asyncio.Barrier(200)
        server.answers = {f"/{n}": answer_with(n, barrier) for n in range(200)}
        found = await asyncio.gather(*(fetch(transport, request(server, f"/{n}")) for n in range(200)))
        assert found == [b"%d" % n for n in range(200)]

    _, server = exchange(OK, work)
    assert (server.most_in_flight, server.connections) == (200, 200)


@pytest.mark.parametrize(
    "last",
    [
        response(200, b"{}", Connection="close"),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        say(b"HTTP/1.1 200 OK\r\n\r\n{}", close=True),
        OK + b"HTTP/1.1 200 OK\r\n",
    ],
    ids=["Connection: close", "HTTP/1.0", "ended by closing", "more than was asked"],
)
def test_a_connection_that_may_not_be_used_again_is_not(last: Say | bytes) -> None:
    found, server = exchange(one_after_another(last, OK), twice)
    assert (found, server.connections, len(server.targets)) == ([b"{}", b"{}"], 2, 2)


def test_a_connection_that_was_closed_or_talks_while_idle_is_not_used() -> None:
    async def work(transport: VmaTransport, server: RawServer, later: Callable[[asyncio.StreamWriter], None]) -> None:
        async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(OK)
            asyncio.get_running_loop().call_later(0.02, later, writer)

        server.answers = {"*": speak}
        await fetch(transport, request(server))
        (pool,) = transport._pools.values()
        while pool._open:  # noqa: ASYNC110 - seen from outside, without an event
            await asyncio.sleep(0.005)
        assert not pool._idle
        server.answers = {"*": OK}
        await fetch(transport, request(server))
        assert (server.connections, len(server.targets)) == (2, 2)

    exchange(OK, lambda t, s: work(t, s, lambda writer: writer.close()))
    exchange(OK, lambda t, s: work(t, s, lambda writer: writer.write(b"HTTP/1.1 408 Timeout\r\n\r\n")))


def test_a_connection_that_was_idle_for_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exchange(OK, twice)[1].connections == 1
    monkeypatch.setattr("vma.transport.pool.MAX_AGE", -1.0)
    assert exchange(OK, twice)[1].connections == 2


# --- asking again ------------------------------------------------------------------------------------


@pytest.mark.parametrize("stale", [reset, SILENT_END], ids=["reset", "closed"])
def test_a_stale_connection_costs_one_more_question_and_no_error(stale: Say) -> None:
    found, server = exchange(one_after_another(OK, stale, OK), twice)
    assert (found, server.connections, len(server.targets)) == ([b"{}", b"{}"], 2, 3)


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([reset], 1),  # not stale: the connection was new
        ([OK, CUT_OFF], 2),  # not stale: it began to answer
        ([OK, reset, reset], 3),  # once is enough
        ([OK, say(b"junk")], 2),
    ],
    ids=["new", "begun", "again", "junk"],
)
def test_nothing_else_is_asked_again(answers: list[Say | bytes], asked: int) -> None:
    async def work(transport: VmaTransport, server: RawServer) -> None:
        for _ in answers[1:2]:
            await fetch(transport, request(server))
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await fetch(transport, request(server))

    assert len(exchange(one_after_another(*answers), work)[1].targets) == asked


# --- what is not done ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (httpx.Request("POST", "http://vma/", content=b"x"), httpx.LocalProtocolError),
        (httpx.Request("HEAD", "http://vma/"), httpx.LocalProtocolError),
        (httpx.Request("GET", "http://vma/", content=b"x"), httpx.LocalProtocolError),
        (httpx.Request("GET", "http://vma/", headers={"X": "a\r\nY: b"}), httpx.LocalProtocolError),
        (httpx.Request("GET", "http://vma/", headers=[(b"X\n", b"a")]), httpx.LocalProtocolError),
        (httpx.Request("GET", "ftp://vma/"), httpx.UnsupportedProtocol),
    ],
)
def test_what_is_no_plain_question_is_refused_before_anything_is_sent(asked: httpx.Request, error: type) -> None:
    with pytest.raises(error):
        asyncio.run(VmaTransport().handle_async_request(asked))


def test_when_it_is_closed_what_is_under_way_fails_and_nothing_new_is_asked() -> None:
    async def work(transport: VmaTransport, server: RawServer) -> None:
        asked = asyncio.Event()

        async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            asked.set()
            await reader.read()

        server.answers = {"*": wait}
        under_way = asyncio.create_task(fetch(transport, request(server)))
        await asked.wait()
        await transport.aclose()
        with pytest.raises(httpx.RemoteProtocolError):
            await under_way
        with pytest.raises(RuntimeError, match="closed"):
            await fetch(transport, request(server))
        while server.in_flight:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)

    exchange(NOT_FOUND, work)


def test_hosts_of_several_addresses_tell_why_none_of_them_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def two(*_: object, **__: object) -> list[Any]:
        return [(2, 1, 6, "", (host, 1)) for host in (HOST, "127.0.0.2")]

    monkeypatch.setattr("socket.getaddrinfo", two)
    with pytest.raises(httpx.ConnectError) as caught:
        asyncio.run(VmaTransport().handle_async_request(httpx.Request("GET", "http://vma.example:1/")))
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
