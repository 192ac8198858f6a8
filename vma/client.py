"""Asking a VMA over HTTP. Beside `vma.transport` the one module of the service that knows the HTTP library."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Final, TypedDict
from urllib.parse import quote

import httpx
import structlog

from fsm.evidence import Evidence
from vma.address import checked_base_url
from vma.composite import Question, compose, unexpected
from vma.keys import next_keys
from vma.observer import Observer
from vma.transport import Exchange, TotalTimeout, VmaTransport, Written
from vma.wire import read, read_health, unheard
from vma.wire_models import Answer, Kind, Reply

log = structlog.get_logger(__name__)

PREFIX: Final = "/api/v1"
_HEADERS: Final = {"accept": "application/json, text/plain", "accept-encoding": "identity", "user-agent": "oma-fsm"}
_REQUESTS: Final = 20_000  # kept, of about 1.6 kB: more keys than are asked in turn by one service
# Path segments that no quoting keeps from being resolved on the way.
_UNASKABLE: Final = ("", ".", "..")


@dataclass(frozen=True, slots=True)
class VmaLimits:
    """How patient a client is. Seconds; `max_body` in bytes; `in_flight` bounds requests, not jobs."""

    connect: float = 2.0
    read: float = 4.0
    total: float = 6.0
    max_body: int = 2**20
    in_flight: int = 8


@dataclass(frozen=True, slots=True)
class Health:
    """What the health endpoint of an appliance said. `latency` in seconds; `error` is None if it is healthy."""

    appliance: str
    reachable: bool
    healthy: bool
    observed_at: datetime
    latency: float
    error: str | None = None


class VmaClient:
    """One appliance. Lives as long as its appliance is configured; close it with `aclose`."""

    def __init__(
        self, base_url: str, *, name: str = "default", limits: VmaLimits | None = None, observer: Observer | None = None
    ) -> None:
        """Raises ValueError if the address is not one of an appliance."""
        self.base_url = checked_base_url(base_url)
        self.name = name
        self.limits = limits or VmaLimits()
        self.observer = observer or Observer()
        self._in_flight = asyncio.Semaphore(self.limits.in_flight)
        self._transport = VmaTransport(keep=self.limits.in_flight)
        self._progress_of = lru_cache(_REQUESTS)(self._new_question)

    async def ask(self, question: Question) -> Evidence:
        """What the VMA says of a job. Raises nothing but CancelledError."""
        if question.appliance != self.name:
            question = replace(question, appliance=self.name)
        try:
            answers = await self._answers(question)
            return compose(question, answers, **self._observed())
        except Exception as error:
            log.exception("asking the VMA about a job failed", job_id=question.job_id, appliance=self.name)
            return unexpected(question, _internal(error), **self._observed())

    async def health(self) -> Health:
        """Whether the appliance says that it is well. Raises nothing but CancelledError."""
        began = self.observer.uptime()
        try:
            reply = await self._fetch(self._written("/health"))
            said = read_health(reply)
            reachable, healthy, error = said.reachable, said.healthy, said.error
        except httpx.HTTPError as failure:
            kind, error = describe(failure, self.limits)
            reachable, healthy = kind is not Kind.UNREACHABLE, False
        latency = self.observer.uptime() - began
        return Health(self.name, reachable, healthy, self.observer.now(), latency, error)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def _answers(self, question: Question) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        while keys := next_keys(question, answers, self.observer.now()):
            if len(keys) == 1:  # needs no task of its own
                answers[keys[0]] = await self._answer(keys[0])
            else:
                answers.update(zip(keys, await asyncio.gather(*map(self._answer, keys)), strict=True))
        return answers

    async def _answer(self, key: str) -> Answer:
        if key in _UNASKABLE:
            return unheard(key, Kind.UNINTELLIGIBLE, f"{key!r} cannot be asked about: it is no name")
        try:
            return read(key, await self._fetch(self._progress_of(key)))
        except httpx.HTTPError as failure:
            return unheard(key, *describe(failure, self.limits))
        except Exception as error:
            log.exception("a question to the VMA failed", key=key, appliance=self.name)
            return unheard(key, Kind.UNINTELLIGIBLE, _internal(error))

    async def _fetch(self, request: Written) -> Reply:
        async with self._in_flight:
            exchange = await self._transport.ask(request)
            try:
                body, truncated = await self._body(exchange)
            finally:
                exchange.abandon()
        return Reply(exchange.status, _fields(exchange.headers), body, truncated)

    def _new_question(self, key: str) -> Written:
        return self._written("/progress/" + quote(key, safe="", errors="replace"))

    def _written(self, path: str) -> Written:
        limits = self.limits
        seconds = {"connect": limits.connect, "read": limits.read, "total": limits.total}
        url = self.base_url + PREFIX + path
        return self._transport.write(httpx.Request("GET", url, headers=_HEADERS, extensions={"timeout": seconds}))

    async def _body(self, exchange: Exchange) -> tuple[bytes, bool]:
        body = bytearray()
        async for chunk in exchange:
            body += chunk
            if len(body) > self.limits.max_body:
                del body[self.limits.max_body :]
                return bytes(body), True
        return bytes(body), False

    def _observed(self) -> "_Observed":
        return {"observed_at": self.observer.now(), "observer": self.observer.id, "uptime": self.observer.uptime()}


class _Observed(TypedDict):
    observed_at: datetime
    observer: str
    uptime: float


def _fields(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Header fields by their lower-case names; those of one name are joined."""
    fields: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


# --- what went wrong, in an operator's words ------------------------------------------------------


def describe(failure: Exception, limits: VmaLimits) -> tuple[Kind, str]:
    """What a failed exchange says: mostly that the VMA is unreachable; another program there is unintelligible."""
    if isinstance(failure, httpx.ConnectError):
        return Kind.UNREACHABLE, _why_no_connection(failure)
    for kind, text in _TEXTS.items():
        if isinstance(failure, kind):
            return Kind.UNREACHABLE, text.format(limits=limits)
    if isinstance(failure, httpx.RemoteProtocolError) and _closed(failure):
        return Kind.UNREACHABLE, "the connection was closed before the answer was complete"
    return Kind.UNINTELLIGIBLE, f"no HTTP answer, perhaps another program on the port: {failure}"


_TEXTS: Final = {
    TotalTimeout: "the answer was not complete within {limits.total:g} s",
    httpx.ConnectTimeout: "no connection within {limits.connect:g} s",
    httpx.TimeoutException: "connected, but no answer within {limits.read:g} s",
    httpx.NetworkError: "the connection broke before the answer was complete",
}


def _closed(failure: httpx.RemoteProtocolError) -> bool:
    text = str(failure)
    return "disconnected without sending" in text or "closed connection without sending" in text


def _why_no_connection(failure: httpx.ConnectError) -> str:
    for cause in _causes(failure):
        if isinstance(cause, socket.gaierror):
            return "the host name cannot be resolved"
        if isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED:
            return "connection refused"
        if isinstance(cause, OSError) and cause.errno is not None:
            return f"no connection: {cause.strerror or cause}"
    return f"no connection: {failure}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, what it was raised from, and the members of groups among them."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _causes(member)
    cause = error.__cause__ or error.__context__
    if cause is not None:
        yield from _causes(cause)


def _internal(error: Exception) -> str:
    return f"internal error while asking the VMA: {type(error).__name__}: {error}"
