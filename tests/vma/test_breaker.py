"""An appliance that does not answer is left alone but for a probe, and its jobs are told so at once."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime

import pytest
from raw_server import HOST, NOT_FOUND, RawServer, json_response, reset, response, serving
from vma_answers import EXPORT_A, JOB, A, envelope, question

from fsm.states import Verdict
from vma import client as clients
from vma.breaker import FAILURES, Breaker
from vma.client import VmaClient, VmaLimits
from vma.observer import Observer

NOW = datetime(2026, 11, 26, 3, 12, tzinfo=UTC)
OWN = question()
PATIENCE = 30.0  # seconds: a machine that is slow is no appliance that is


def breaker() -> tuple[Breaker, list[bool]]:
    turns: list[bool] = []
    return Breaker(Observer(lambda: NOW), listeners=[turns.append]), turns


def test_it_opens_at_the_third_failure_in_a_row_and_says_since_when_and_why() -> None:
    one, turns = breaker()
    for n in range(1, FAILURES):
        one.failed("connection refused")
        assert (one.is_open, one.failures) == (False, n)
    one.failed("no connection within 2 s")
    assert (one.is_open, one.opened_at, one.opened, turns) == (True, NOW, 1, [True])
    assert "not answered since 2026-11-26 03:12:00Z (no connection within 2 s)" in one.says


def test_an_answer_in_between_begins_the_count_anew_and_one_while_open_closes_it() -> None:
    one, turns = breaker()
    for _ in range(5):
        one.failed("refused")
        one.failed("refused")
        one.answered()
    assert turns == []
    for _ in range(7):
        one.failed("refused")
    one.answered()
    assert (turns, one.is_open, one.failures) == ([True, False], False, 0)


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[VmaClient]:
    client = VmaClient(url, limits=VmaLimits(PATIENCE, PATIENCE, PATIENCE))
    try:
        yield client
    finally:
        await client.aclose()


@contextmanager
def refused() -> Iterator[str]:
    """Nobody else can listen there."""
    with socket.socket() as closed:
        closed.bind((HOST, 0))
        yield f"http://{HOST}:{closed.getsockname()[1]}"


def test_behind_an_open_breaker_nothing_is_asked_and_every_job_is_unreachable() -> None:
    async def run() -> None:
        async with serving({"*": reset}) as server, asking(server.url) as client:
            for _ in range(FAILURES):
                await client.ask(OWN)
            asked = len(server.targets)
            evidence = await asyncio.gather(*(client.ask(OWN) for _ in range(500)))
            assert {e.verdict for e in evidence} == {Verdict.UNREACHABLE}
            assert "not asked: the VMA has not answered since" in (evidence[0].error or "")
            assert len(server.targets) == asked

    asyncio.run(run())


@pytest.mark.parametrize("answer", [NOT_FOUND, response(200, b"<html>"), response(500), response(401)])
def test_whatever_is_answered_does_not_open_it(answer: bytes) -> None:
    async def run() -> None:
        async with serving({"*": answer}) as server, asking(server.url) as client:
            for _ in range(2 * FAILURES):
                await client.ask(OWN)
            assert (client.breaker.is_open, len(server.targets)) == (False, 2 * FAILURES)

    asyncio.run(run())


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_without_a_vma_opens_it(status: int) -> None:
    async def run() -> None:
        async with serving({"*": response(status)}) as server, asking(server.url) as client:
            for _ in range(FAILURES):
                await client.ask(OWN)
            assert client.breaker.is_open

    asyncio.run(run())


def test_a_probe_closes_it_by_itself_and_who_waits_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "PROBE_EVERY", 0.01)

    async def run() -> None:
        back = asyncio.Event()
        answers = {"*": reset, "/api/v1/health": reset}
        async with serving(answers) as server, asking(server.url) as client:
            client.breaker.listeners.append(lambda is_open: None if is_open else back.set())
            for _ in range(FAILURES):
                await client.ask(OWN)
            await _until(lambda: server.targets.count("/api/v1/health") >= 2)
            assert client.breaker.is_open
            answers["/api/v1/health"] = json_response({"status": "healthy"})
            answers["*"] = json_response(envelope(JOB))
            async with asyncio.timeout(PATIENCE):
                await back.wait()
            probes = server.targets.count("/api/v1/health")
            assert (await client.ask(OWN)).verdict is Verdict.RUNNING
            await asyncio.sleep(0.05)  # five probes' time, if there were any
            assert server.targets.count("/api/v1/health") == probes

    asyncio.run(run())


async def _until(happens: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not happens():  # noqa: ASYNC110 - it is another task that is waited for
            await asyncio.sleep(0.001)


def test_those_that_wait_for_a_place_when_it_opens_are_not_asked_any_more() -> None:
    gate = asyncio.Event()

    async def held(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        writer.transport.abort()

    async def run() -> None:
        async with serving({"*": held}) as server, asking(server.url) as client:
            asks: list[Awaitable[object]] = [asyncio.ensure_future(client.ask(OWN)) for _ in range(100)]
            await _until(lambda: server.in_flight == client.limits.in_flight)
            gate.set()
            await asyncio.gather(*asks)
            assert _asked(server) <= 2 * client.limits.in_flight

    asyncio.run(run())


def _asked(server: RawServer) -> int:
    return len(server.targets)


def test_a_question_with_a_dead_export_ends_at_the_first_failure() -> None:
    async def run() -> None:
        async with asking(url) as client:
            evidence = await client.ask(question(A))
            assert (evidence.verdict, client.breaker.failures) == (Verdict.UNREACHABLE, 1)
            assert EXPORT_A in (evidence.error or "")

    with refused() as url:
        asyncio.run(run())
