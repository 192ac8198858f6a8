"""One connection without a socket: however its bytes are cut, an answer is the same, and what is none is refused."""

import asyncio
import json
from collections.abc import Iterable
from itertools import pairwise

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_wire import Wire
from vma_answers import envelope

from vma.transport.connection import READ_SIZE
from vma.transport.exchange import Exchange

BODY = json.dumps(envelope(), indent=1).encode()
DATE = b"Date: Mon, 23 Nov 2026 19:23:07 GMT\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (DATE, len(BODY), BODY)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n"
    b"7;why=not\r\n%b\r\n%x\r\n%b\r\n0\r\nDate: x\r\nX: y\r\n\r\n"
    % (
        *(DATE, BODY[:7]),
        *(len(BODY) - 7, BODY[7:]),
    )
)
CLOSED = b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (DATE, BODY)
OLD = b"HTTP/1.0 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (DATE, len(BODY), BODY)
INTERIM = b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + LENGTH
WHOLE = {"length": LENGTH, "chunked": CHUNKED, "closed": CLOSED, "HTTP/1.0": OLD, "interim": INTERIM}
NEXT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def read(exchange: Exchange) -> bytes:
    await exchange.begun
    return b"".join([chunk async for chunk in exchange])


def answer(pieces: Iterable[bytes]) -> tuple[int, list[tuple[bytes, bytes]], bytes, int]:
    """Status, header fields and body of an answer that ends with its stream; and if its connection could be kept."""

    async def work() -> tuple[int, list[tuple[bytes, bytes]], bytes, int]:
        wire = Wire()
        exchange = wire.ask()
        wire.feed(*pieces)
        kept = wire.released
        wire.end()
        return exchange.status, exchange.headers, await read(exchange), kept

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("kind", "kept"), [("length", 1), ("chunked", 1), ("closed", 0), ("HTTP/1.0", 0), ("interim", 1)]
)
def test_an_answer_in_one_piece_and_in_single_bytes_is_the_same(kind: str, kept: int) -> None:
    whole = WHOLE[kind]
    status, headers, body, found = answer([whole])
    assert (status, body, found) == (200, BODY, kept)
    assert headers[0] == (b"Date", b"Mon, 23 Nov 2026 19:23:07 GMT")
    assert len(headers) == (1 if kind == "closed" else 2)  # neither trailers nor fields of interim answers
    assert answer([whole[at : at + 1] for at in range(len(whole))]) == (status, headers, body, found)


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(sorted(WHOLE)), st.lists(st.integers(0, len(CHUNKED)), max_size=12))
def test_any_cutting_of_an_answer_gives_the_same_answer(kind: str, cuts: list[int]) -> None:
    whole = WHOLE[kind]
    ends = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[a:b] for a, b in pairwise(ends) if a < b]
    assert answer(pieces) == answer([whole])


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(sorted(set(WHOLE) - {"closed"})), st.data())
def test_an_answer_that_breaks_off_is_never_taken_for_a_whole_one(kind: str, data: st.DataObject) -> None:
    whole = WHOLE[kind]
    with pytest.raises(httpx.RemoteProtocolError, match="without sending"):
        answer([whole[: data.draw(st.integers(0, len(whole) - 1))]])


def test_an_answer_without_framing_is_not_whole_if_the_connection_breaks() -> None:
    async def work(error: Exception | None) -> None:
        wire = Wire()
        exchange = wire.ask()
        wire.feed(CLOSED)
        wire.connection.connection_lost(error)  # without an end of the stream before it
        await read(exchange)

    with pytest.raises(httpx.ReadError, match="reset"):
        asyncio.run(work(ConnectionResetError("reset")))
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        asyncio.run(work(None))


@pytest.mark.parametrize("more", [NEXT, b"HTTP/1.1 2", b"junk", b"\0"])
@pytest.mark.parametrize("at_once", [True, False])
def test_what_follows_an_answer_closes_the_connection_but_leaves_the_answer(more: bytes, at_once: bool) -> None:
    async def work() -> None:
        wire = Wire()
        exchange = wire.ask()
        wire.feed(*([LENGTH + more] if at_once else [LENGTH, more]))
        assert (exchange.status, await read(exchange)) == (200, BODY)
        assert wire.closed
        assert wire.released == (0 if at_once else 1)
        assert not wire.connection.usable

    asyncio.run(work())


@pytest.mark.parametrize(
    "junk",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"<html>",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
    ],
)
def test_what_is_no_http_is_said_to_be_none_and_closes_the_connection(junk: bytes) -> None:
    async def work() -> None:
        wire = Wire()
        exchange = wire.ask()
        wire.feed(junk)
        assert wire.closed
        with pytest.raises(httpx.RemoteProtocolError, match=r"^(?!.*without sending)"):
            await read(exchange)

    asyncio.run(work())


@pytest.mark.parametrize(
    "endless",
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 100),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 10),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 1000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 100),
    ],
    ids=["a field", "fields", "interim answers", "an extension of a chunk", "trailers"],
)
def test_what_is_no_body_is_bounded(endless: tuple[bytes, bytes]) -> None:
    async def work() -> int:
        wire = Wire()
        exchange = wire.ask()
        start, more = endless
        wire.feed(start) if start else None
        fed = 0
        while not wire.closed and fed < 10 * READ_SIZE:
            wire.feed(more)
            fed += len(more)
        with pytest.raises(httpx.RemoteProtocolError):
            await read(exchange)
        return fed

    assert asyncio.run(work()) < READ_SIZE + 2000


def test_small_chunks_are_no_flood_however_many_they_are() -> None:
    body = b"x" * 50_000
    chunks = b"1\r\nx\r\n" * len(body)
    assert answer([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunks, b"0\r\n\r\n"])[2] == body


def test_reading_pauses_while_nobody_takes_the_body_and_goes_on_when_somebody_does() -> None:
    async def work() -> None:
        wire = Wire()
        exchange = wire.ask()
        wire.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n", b"x" * 65_000)
        assert not wire.paused
        wire.feed(b"x" * 5_000)
        assert wire.paused
        assert len(await anext(exchange)) == 70_000
        assert not wire.paused
        wire.feed(b"x" * 65_536)
        assert wire.paused
        wire.feed(b"x" * 64_464)  # the last of it: whoever is asked next must be heard
        assert (exchange.complete, wire.released, wire.paused) == (True, 1, False)
        assert len(await anext(exchange)) == 130_000

    asyncio.run(work())


def test_an_answer_that_nobody_reads_on_closes_its_connection_but_a_complete_one_does_not() -> None:
    async def work() -> None:
        wire = Wire()
        exchange = wire.ask()
        wire.feed(LENGTH)
        await exchange.aclose()
        assert (wire.closed, wire.connection.usable) == (False, True)
        exchange = wire.ask()
        wire.feed(LENGTH[:-1])
        await exchange.aclose()
        assert (wire.closed, wire.connection.usable) == (True, False)

    asyncio.run(work())
