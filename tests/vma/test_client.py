"""The client over real HTTP: whatever the other side does, there is evidence, and in time."""

import asyncio
import json
import socket
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from raw_server import HOST, NOT_FOUND, RawServer, Say, hang, json_response, reset, response, say, serving
from structlog.testing import capture_logs
from vma_answers import EXPORT_A, EXPORT_B, JOB, NOW, A, B, envelope, question

from fsm.evidence import Evidence
from fsm.memory import Memory
from fsm.states import Verdict
from vma import wire
from vma.client import Health, VmaClient, VmaLimits
from vma.observer import Observer
from vma.question import Question

PATIENT = VmaLimits()
FOR_EVER = VmaLimits(connect=60, read=60, total=60)
ONE = question(A)
OWN = question()
JOB_FIRST = question(A, B, memory=Memory(answering_key="job"))


def observer() -> Observer:
    return Observer(clock=lambda: NOW, id="us")


def client_of(url: str, limits: VmaLimits = PATIENT) -> VmaClient:
    return VmaClient(url, name="vma-1", limits=limits, observer=observer())


async def asking(url: str, asked: Question, limits: VmaLimits = PATIENT) -> Evidence:
    client = client_of(url, limits)
    try:
        return await client.ask(asked)
    finally:
        await client.aclose()


def ask(
    answers: dict[str, Say | bytes], asked: Question = OWN, limits: VmaLimits = PATIENT
) -> tuple[Evidence, RawServer]:
    async def run() -> tuple[Evidence, RawServer]:
        async with serving(answers) as server:
            return await asking(server.url, asked, limits), server

    return asyncio.run(run())


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


# --- answers ------------------------------------------------------------------------------------------


def test_a_running_job_is_running() -> None:
    body = json_response(envelope(JOB, "Streaming", bytes_transferred=5, total_bytes=10, rate=3))
    evidence, server = ask({JOB: body})
    assert (evidence.verdict, evidence.bytes_transferred, evidence.percent) == (Verdict.RUNNING, 5, 50.0)
    assert (evidence.appliance, evidence.observer, evidence.observed_at) == ("vma-1", "us", NOW)
    assert server.targets == [f"/api/v1/progress/{JOB}"]


def test_a_chunked_answer_is_put_together() -> None:
    body = json_response(envelope(JOB, "completed")).partition(b"\r\n\r\n")[2]
    chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:400], body[400:]) if part]
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    evidence, _ = ask({JOB: say(head, *chunks, b"0\r\n\r\n")})
    assert (evidence.verdict, evidence.own_key_completed) == (Verdict.UNSETTLED, True)


def test_not_found_with_status_200_is_not_found() -> None:
    evidence, _ = ask({"*": response(200, b"job not found\n")}, ONE)
    assert (evidence.verdict, evidence.error) == (Verdict.NOT_FOUND, None)


def test_a_redirect_is_not_followed() -> None:
    evidence, server = ask({JOB: response(301, Location="/elsewhere"), "/elsewhere": json_response(envelope())})
    assert evidence.verdict is Verdict.UNINTELLIGIBLE
    assert "HTTP 301: a redirect" in (evidence.error or "")
    assert len(server.targets) == 1


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_without_a_vma_is_unreachable(status: int) -> None:
    evidence, _ = ask({JOB: response(status)})
    assert evidence.verdict is Verdict.UNREACHABLE


def test_a_refusal_is_told_with_how_long_to_wait() -> None:
    evidence, _ = ask({JOB: response(403, Retry_After="9")})
    assert (evidence.verdict, evidence.refused, evidence.retry_after) == (Verdict.UNINTELLIGIBLE, True, 9.0)


def test_compressed_bodies_are_neither_asked_for_nor_unpacked() -> None:
    evidence, server = ask({JOB: response(200, b"\x1f\x8b\x08\x00", Content_Encoding="gzip")})
    assert evidence.verdict is Verdict.UNINTELLIGIBLE
    assert "accept-encoding: identity" in server.heads[0].lower()


# --- failures of the transport ------------------------------------------------------------------------


def test_a_refused_connection_is_unreachable() -> None:
    with socket.socket() as closed:
        closed.bind((HOST, 0))
        evidence = run(asking(f"http://{HOST}:{closed.getsockname()[1]}", OWN))
    assert evidence.verdict is Verdict.UNREACHABLE
    assert evidence.error == f"asked about {JOB}: connection refused"


def test_an_unknown_host_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:  # whoever else is asked may take his time
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    evidence = run(asking("http://no-such-host.invalid", OWN))
    assert evidence.verdict is Verdict.UNREACHABLE
    assert "the host name cannot be resolved" in (evidence.error or "")


def test_a_connection_that_is_never_accepted_is_given_up() -> None:
    with socket.socket() as full:
        full.bind((HOST, 0))
        full.listen(0)
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        evidence = run(asking(f"http://{HOST}:{address[1]}", OWN, VmaLimits(connect=0.3)))
        for filler in fillers:
            filler.close()
    assert evidence.error == f"asked about {JOB}: no connection within 0.3 s"


def test_accepted_and_never_answered_is_unreachable() -> None:
    evidence, _ = ask({JOB: hang}, limits=VmaLimits(read=0.3))
    assert evidence.verdict is Verdict.UNREACHABLE
    assert evidence.error == f"asked about {JOB}: connected, but no answer within 0.3 s"


@pytest.mark.parametrize(
    "fault",
    [
        reset,
        say(close=True),
        say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", close=True),
        say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", close=True),
        say(b"HTTP/1.1 200", close=True),
    ],
    ids=["reset", "EOF after accept", "EOF in the body", "EOF in a chunk", "EOF in the head"],
)
def test_a_broken_connection_is_unreachable(fault: Say) -> None:
    evidence, _ = ask({JOB: fault})
    assert evidence.verdict is Verdict.UNREACHABLE, evidence.error
    assert "the connection" in (evidence.error or "")


def test_one_byte_after_another_is_cut_off_by_the_total_time() -> None:
    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not writer.is_closing() and not reader.at_eof():
            writer.write(b" ")
            try:
                await asyncio.wait_for(reader.read(1), 0.1)
            except TimeoutError:
                continue

    began = time.monotonic()
    evidence, _ = ask({JOB: dripping}, limits=VmaLimits(total=0.6))
    assert evidence.verdict is Verdict.UNREACHABLE
    assert evidence.error == f"asked about {JOB}: the answer was not complete within 0.6 s"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("banner", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x16" * 9 + b"\r\n\r\n"])
def test_another_program_on_the_port_is_unintelligible(banner: bytes) -> None:
    evidence, _ = ask({JOB: say(banner)})
    assert evidence.verdict is Verdict.UNINTELLIGIBLE
    assert "perhaps another program on the port" in (evidence.error or "")


def test_a_huge_body_is_cut_and_not_read_to_its_end() -> None:
    sent = 0

    async def pouring(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 100_000)
            sent += 100_000
            await writer.drain()

    evidence, _ = ask({JOB: pouring}, limits=VmaLimits(max_body=10_000))
    assert evidence.verdict is Verdict.UNINTELLIGIBLE
    assert "the body is too long, reading stopped after 10000 bytes" in (evidence.error or "")
    assert sent < 50_000_000


@pytest.mark.parametrize(("beyond", "verdict"), [(0, Verdict.RUNNING), (1, Verdict.UNINTELLIGIBLE)])
def test_a_body_that_comes_at_once_is_bounded_too(beyond: int, verdict: Verdict) -> None:
    body = json.dumps(envelope(JOB)).encode()
    evidence, _ = ask({JOB: response(200, body)}, limits=VmaLimits(max_body=len(body) - beyond))
    assert evidence.verdict is verdict


# --- keys ---------------------------------------------------------------------------------------------


def test_export_names_are_asked_first_then_the_job_id() -> None:
    evidence, server = ask({JOB: json_response(envelope(JOB))}, question(A, B))
    assert evidence.verdict is Verdict.RUNNING
    assert sorted(server.targets[:2]) == [f"/api/v1/progress/{EXPORT_A}", f"/api/v1/progress/{EXPORT_B}"]
    assert server.targets[2:] == [f"/api/v1/progress/{JOB}"]


def test_the_job_id_is_asked_first_and_alone_if_it_answered_last() -> None:
    evidence, server = ask({JOB: json_response(envelope(JOB))}, JOB_FIRST)
    assert (evidence.verdict, evidence.answering_key) == (Verdict.RUNNING, "job")
    assert server.targets == [f"/api/v1/progress/{JOB}"]


@pytest.mark.parametrize(
    ("job_id", "target"),
    [
        ("a/../../b", "a%2F..%2F..%2Fb"),
        ("a?x=1#y", "a%3Fx%3D1%23y"),
        ("a\r\nX: y", "a%0D%0AX%3A%20y"),
        ("%2e%2e", "%252e%252e"),
        ("job ü", "job%20%C3%BC"),
        ("...", "..."),
        ("\ud800", "%3F"),
    ],
)
def test_a_key_is_quoted_so_that_no_other_path_is_reached(job_id: str, target: str) -> None:
    evidence, server = ask({}, Question(job_id, NOW, own_id_only=True))
    assert server.targets == [f"/api/v1/progress/{target}"]
    assert evidence.verdict is Verdict.NOT_FOUND


@pytest.mark.parametrize("job_id", ["", ".", ".."])
def test_a_key_that_no_quoting_protects_is_not_asked(job_id: str) -> None:
    evidence, server = ask({}, Question(job_id, NOW, own_id_only=True))
    assert (evidence.verdict, server.targets) == (Verdict.UNINTELLIGIBLE, [])


# --- many at a time -------------------------------------------------------------------------------------


def test_requests_in_flight_are_bounded_not_jobs() -> None:
    async def work() -> tuple[RawServer, list[Evidence]]:
        arrived = asyncio.Event()
        waiting = 0

        async def when_three_wait(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal waiting
            waiting += 1
            if waiting >= 3:
                arrived.set()
            await arrived.wait()
            writer.write(NOT_FOUND)

        async with serving({"*": when_three_wait}) as server:
            client = client_of(server.url, VmaLimits(in_flight=3))
            questions = [Question(f"job-{n}", NOW, own_id_only=True) for n in range(20)]
            found = await asyncio.gather(*map(client.ask, questions))
            await client.aclose()
            return server, found

    server, found = run(work())
    assert server.most_in_flight == 3
    assert {e.verdict for e in found} == {Verdict.NOT_FOUND}


def test_connections_are_kept_and_used_again() -> None:
    async def work() -> RawServer:
        async with serving() as server:
            client = client_of(server.url)
            for _ in range(5):
                await client.ask(OWN)
            await client.aclose()
            return server

    server = run(work())
    assert (len(server.targets), server.connections) == (5, 1)


def test_a_cancelled_question_is_cancelled_and_the_client_lives_on() -> None:
    async def work() -> Evidence:
        asked = asyncio.Event()

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.set()
            await hang(reader, writer)

        async with serving({EXPORT_A: wait, JOB: json_response(envelope(JOB))}) as server:
            client = client_of(server.url, VmaLimits(in_flight=1))
            task = asyncio.create_task(client.ask(ONE))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            evidence = await client.ask(OWN)
            await client.aclose()
            return evidence

    assert run(work()).verdict is Verdict.RUNNING


def test_keys_are_asked_side_by_side_and_a_cancelled_question_leaves_none_of_them_waiting() -> None:
    async def work() -> int:
        both = asyncio.Barrier(3)

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await both.wait()
            await hang(reader, writer)

        async with serving({EXPORT_A: wait, EXPORT_B: wait}) as server:
            client = client_of(server.url, FOR_EVER)
            task = asyncio.create_task(client.ask(question(A, B)))
            await both.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            for _ in range(5):  # turns of the loop; a request that goes on keeps its place for seconds
                await asyncio.sleep(0)
            places = client.places.active
            await client.aclose()
            return places

    assert (
        run(asyncio.wait_for(work(), 30)) == 0
    )  # one after the other, the second would wait for the first to time out


# --- our own errors -------------------------------------------------------------------------------------


def test_an_error_of_our_own_is_no_verdict_and_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Evidence:
        raise ZeroDivisionError("rule broke")

    monkeypatch.setattr("vma.client.compose", broken)
    with capture_logs() as logs:
        evidence, _ = ask({})
    assert evidence.verdict is Verdict.UNINTELLIGIBLE
    assert evidence.error == "internal error while asking the VMA: ZeroDivisionError: rule broke"
    assert [(entry["log_level"], entry["job_id"]) for entry in logs] == [("error", JOB)]


def test_an_error_in_reading_one_answer_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(key: str, reply: Any) -> Any:
        if key == EXPORT_A:
            raise ZeroDivisionError("reader broke")
        return wire.read(key, reply)

    monkeypatch.setattr("vma.client.read", broken)
    with capture_logs() as logs:
        evidence, _ = ask({EXPORT_B: json_response(envelope(EXPORT_B))}, question(A, B))
    assert evidence.verdict is Verdict.RUNNING
    assert [entry["key"] for entry in logs if entry["log_level"] == "error"] == [EXPORT_A]


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    evidence, server = ask({})
    assert (evidence.verdict, len(server.targets)) == (Verdict.NOT_FOUND, 1)


# --- health -------------------------------------------------------------------------------------------


def health(answers: dict[str, Say | bytes], limits: VmaLimits = PATIENT) -> Health:
    async def work() -> Health:
        async with serving(answers) as server:
            client = client_of(server.url, limits)
            try:
                return await client.health()
            finally:
                await client.aclose()

    return run(work())  # type: ignore[no-any-return]


def test_a_healthy_appliance_is_healthy() -> None:
    found = health({"/api/v1/health": json_response({"status": "healthy", "uptime": "661ns"})})
    assert (found.appliance, found.reachable, found.healthy, found.error) == ("vma-1", True, True, None)
    assert found.observed_at == NOW
    assert 0 <= found.latency < 5


@pytest.mark.parametrize(
    ("answer", "reachable", "error"),
    [
        (reset, False, "the connection"),
        (hang, False, "no answer within 0.3 s"),
        (response(404, b"404 page not found"), True, "HTTP 404"),
        (say(b"SSH-2.0-OpenSSH\r\n\r\n"), True, "another program"),
    ],
)
def test_an_appliance_that_is_not_well_says_why(answer: Say | bytes, reachable: bool, error: str) -> None:
    found = health({"*": answer}, VmaLimits(read=0.3) if answer is hang else PATIENT)
    assert (found.reachable, found.healthy) == (reachable, False)
    assert error in (found.error or "")
