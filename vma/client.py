"""Asking a VMA over HTTP. Beside `vma.transport` the one module of the service that knows the HTTP library."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote

import httpx
import structlog
from msgspec.structs import replace

from fsm.evidence import Evidence
from fsm.facts import DEFAULT_APPLIANCE
from vma.access import Access, checked
from vma.breaker import PROBE_EVERY, Breaker
from vma.composite import Hearing, Question, compose, unexpected
from vma.failures import describe, internal
from vma.heard import Heard
from vma.in_flight import InFlight
from vma.keys import first_keys, next_keys
from vma.limits import VmaLimits
from vma.observer import Observer
from vma.transport import Exchange, VmaTransport, Written
from vma.wire import READ_FIELDS, read, read_health, unheard
from vma.wire_models import Answer, Kind, Reply

log = structlog.get_logger(__name__)
__all__ = ["Health", "VmaClient", "VmaLimits"]

PREFIX: Final = "/api/v1"
_HEADERS: Final = {"accept": "application/json, text/plain", "accept-encoding": "identity", "user-agent": "oma-fsm"}
_REQUESTS: Final = 40_000  # kept, of about 0.5 kB: more keys than are asked in turn by one service, or none is found
_READ: Final = {name.encode(): name for name in READ_FIELDS}
# Path segments that no quoting keeps from being resolved on the way.
_UNASKABLE: Final = ("", ".", "..")


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
    """One appliance. Lives as long as its appliance is configured; close it with `aclose`.

    After three transport failures in a row nothing is asked but a probe every five seconds, until one is answered:
    meanwhile every job is at once told to be behind an appliance that does not answer.
    """

    def __init__(
        self,
        access: Access | str,
        *,
        name: str = DEFAULT_APPLIANCE,
        limits: VmaLimits | None = None,
        observer: Observer | None = None,
        learned: float = 0.0,
        hosts: Sequence[str] = (),
    ) -> None:
        """`learned`: places from an earlier run; `hosts`: patterns of those allowed, none: any.

        AccessError if the appliance cannot be asked as configured.
        """
        self.access = access if isinstance(access, Access) else Access(access)
        self.base_url = checked(name, self.access.url, hosts)
        self.name = name
        self.limits = limits or VmaLimits()
        self.observer = observer or Observer()
        self.breaker = Breaker(self.observer, listeners=[self._turned])
        self.places = InFlight(self.limits.in_flight, max(self.limits.most_in_flight, self.limits.in_flight), learned)
        self.heard = Heard()
        self._transport = VmaTransport(keep=self.places.ceiling, tls=self.access.tls(name))
        self._headers = {**_HEADERS, **self.access.headers(name)}
        self._model = self._written("/progress/")
        self._progress_of = lru_cache(_REQUESTS)(self._new_question)
        self._probing: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Evidence:
        """What the VMA says of a job. Raises nothing but CancelledError."""
        if question.appliance != self.name:
            question = replace(question, appliance=self.name)
        try:
            hearing = await self._heard(question)
            evidence = compose(hearing, observer=self.observer.id, uptime=self.observer.uptime())
        except Exception as error:
            log.exception("asking the VMA about a job failed", job_id=question.job_id, appliance=self.name)
            nothing = Hearing(question, {}, self.observer.now(), self.observer.steps)
            return unexpected(nothing, internal(error), observer=self.observer.id, uptime=self.observer.uptime())
        self.heard.note(self.name, question, hearing.answers.values(), evidence)
        return evidence

    async def health(self) -> Health:
        """Whether the appliance says that it is well. Asked whatever the breaker says. Raises only CancelledError."""
        began = self.observer.uptime()
        try:
            said = read_health(await self._fetch(self._written("/health")))
            reachable, healthy, error = said.reachable, said.healthy, said.error
        except httpx.HTTPError as failure:
            kind, error = describe(failure, self.limits)
            reachable, healthy = kind is not Kind.UNREACHABLE, False
        self._count(error if not reachable else None)
        latency = self.observer.uptime() - began
        return Health(self.name, reachable, healthy, self.observer.now(), latency, error)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._probing is not None:
            self._probing.cancel()
        await self._transport.aclose()

    async def _heard(self, question: Question) -> Hearing:
        answers: dict[str, Answer] = {}
        keys = first_keys(question)
        while True:
            answers.update(zip(keys, await self._side_by_side(keys), strict=True))
            hearing = Hearing(question, answers, self.observer.now(), self.observer.steps)
            keys = next_keys(hearing)
            if not keys:
                return hearing

    async def _side_by_side(self, keys: Sequence[str]) -> list[Answer]:
        """The first needs no task of its own, and mostly it is the only one."""
        others = [asyncio.create_task(self._answer(key)) for key in keys[1:]]
        try:
            return [await self._answer(keys[0]), *[await other for other in others]]
        except asyncio.CancelledError:
            for other in others:
                other.cancel()
            raise

    async def _answer(self, key: str) -> Answer:
        if key in _UNASKABLE:
            return unheard(key, Kind.UNINTELLIGIBLE, f"{key!r} cannot be asked about: it is no name")
        if not self.places.enter():  # a place that is free costs no coroutine
            await self.places.wait()
        try:
            if self.breaker.is_open:
                return unheard(key, Kind.UNREACHABLE, self.breaker.says)
            answer = await self._asked(key)
        except Exception as error:
            log.exception("a question to the VMA failed", key=key, appliance=self.name)
            return unheard(key, Kind.UNINTELLIGIBLE, internal(error))
        finally:
            self.places.leave()
        self._count(answer.error if answer.kind is Kind.UNREACHABLE else None)
        return answer

    async def _asked(self, key: str) -> Answer:
        began = self.observer.uptime()
        try:
            answer = read(key, await self._fetch(self._progress_of(key)))
        except httpx.HTTPError as failure:
            return unheard(key, *describe(failure, self.limits))
        now = self.observer.uptime()
        self.places.answered(now - began, now)
        return answer

    async def _fetch(self, request: Written) -> Reply:
        exchange = await self._transport.ask(request)
        try:
            body, truncated = await self._body(exchange)
        finally:
            exchange.abandon()
        return Reply(exchange.status, _fields(exchange.headers), body, truncated)

    def _new_question(self, key: str) -> Written:
        return self._model.below(quote(key, safe="", errors="replace"))

    def _written(self, path: str) -> Written:
        limits = self.limits
        seconds = {"connect": limits.connect, "read": limits.read, "total": limits.total}
        url = self.base_url + PREFIX + path
        return self._transport.write(httpx.Request("GET", url, headers=self._headers, extensions={"timeout": seconds}))

    async def _body(self, exchange: Exchange) -> tuple[bytes, bool]:
        if exchange.complete and exchange.unread <= self.limits.max_body:  # the rule: all of it came with the head
            return exchange.rest(), False
        body = bytearray()
        async for chunk in exchange:
            body += chunk
            if len(body) > self.limits.max_body:
                del body[self.limits.max_body :]
                return bytes(body), True
        return bytes(body), False

    # --- the breaker -----------------------------------------------------------------------------

    def _count(self, failure: str | None) -> None:
        if failure is None:
            self.breaker.answered()
        else:
            self.breaker.failed(failure)

    def _turned(self, is_open: bool) -> None:
        if not is_open:
            log.info("VMA answers again", appliance=self.name)
            return
        log.warning("VMA does not answer; its jobs stay as they are and it is tried every few seconds",
                    appliance=self.name, url=self.base_url, why=self.breaker.last_error)  # fmt: skip
        self._probing = asyncio.get_running_loop().create_task(self._probe(), name=f"probe {self.name}")

    async def _probe(self) -> None:
        while self.breaker.is_open:
            await asyncio.sleep(PROBE_EVERY)
            await self.health()


def _fields(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """The header fields that are read, by their lower-case names; those of one name are joined."""
    fields: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = _READ.get(raw_name.lower())
        if name is not None:
            value = raw_value.decode("latin-1")
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields
