"""All appliances that are asked, each with a client of its own: what happens to one is nothing to the others."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from fsm.evidence import Evidence
from vma.access import Access, AccessError
from vma.client import Health, VmaClient, VmaLimits
from vma.composite import Hearing, Question, unexpected
from vma.observer import Observer
from vma.wire_models import Generation

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """An appliance as configured, and what was learned of it in earlier runs."""

    name: str
    access: Access
    paused: bool = False
    in_flight: float = 0.0
    generation: Generation | None = None


@dataclass(frozen=True, slots=True)
class ApplianceState:
    """How an appliance is now. `error` says what is wrong; `since` when it stopped answering. Times aware UTC."""

    name: str
    url: str
    paused: bool
    reachable: bool | None  # by the last question; None: not asked yet
    heard_at: datetime | None
    error: str | None
    since: datetime | None
    in_flight: int
    in_flight_limit: int
    waiting: int
    generation: Generation | None
    forgot_at: datetime | None
    forgotten: int
    refused_since: datetime | None


class Fleet:
    """Clients by name. `listeners` hear the name of an appliance that answers again. Belongs to one event loop."""

    def __init__(
        self, limits: VmaLimits | None = None, observer: Observer | None = None, hosts: Sequence[str] = ()
    ) -> None:
        """`hosts`: patterns of the hosts that appliances may have; none: any."""
        self._hosts = hosts
        self.limits, self.observer = limits or VmaLimits(), observer or Observer()
        self.listeners: list[Callable[[str], None]] = []
        self._members: dict[str, Member] = {}
        self._clients: dict[str, VmaClient] = {}
        self._broken: dict[str, str] = {}  # why an appliance has no client
        self._retiring: set[asyncio.Task[None]] = set()

    def set(self, members: Iterable[Member]) -> None:
        """From now on these are asked. A client lives on unless how its appliance is reached has changed."""
        wanted = {member.name: member for member in members}
        for name in self._members.keys() - wanted.keys():
            self._retire(name)
        for member in wanted.values():
            known = self._members.get(member.name)
            if known is None or known.access != member.access or member.name in self._broken:
                self._renew(member)
        self._members = wanted

    def paused(self, name: str) -> bool:
        """True if nobody may ask it now."""
        member = self._members.get(name)
        return member is not None and member.paused

    async def ask(self, question: Question) -> Evidence:
        """What the job's appliance says of it. Raises nothing but CancelledError."""
        client = self._clients.get(question.appliance)
        if client is not None:
            return await client.ask(question)
        unknown = f"no appliance {question.appliance!r} is known: `oma-fsm appliances add` makes it so"
        why = self._broken.get(question.appliance, unknown)
        observer = self.observer
        nothing = Hearing(question, {}, observer.now(), observer.steps)
        return unexpected(nothing, why, observer=observer.id, uptime=observer.uptime())

    async def health(self, name: str) -> Health | None:
        """Whether an appliance says that it is well; None if it is not known, or cannot be asked as configured."""
        client = self._clients.get(name)
        return None if client is None else await client.health()

    def states(self) -> list[ApplianceState]:
        """How all of them are, by name."""
        return [self._state(member) for _, member in sorted(self._members.items())]

    def waiting(self) -> int:
        """How many requests, of all appliances, wait for a place among those under way."""
        return sum(client.places.waiting for client in self._clients.values())

    def learned(self) -> list[Member]:
        """What is worth keeping over a restart."""
        return [
            replace(member, in_flight=client.places.limit, generation=client.heard.generation)
            for name, member in self._members.items()
            if (client := self._clients.get(name)) is not None
        ]

    async def aclose(self) -> None:
        """Close all connections."""
        for task in list(self._retiring):
            task.cancel()
        await asyncio.gather(*(client.aclose() for client in self._clients.values()), *self._retiring,
                             return_exceptions=True)  # fmt: skip

    def _renew(self, member: Member) -> None:
        self._retire(member.name)
        try:
            client = VmaClient(member.access, name=member.name, limits=self.limits, observer=self.observer,
                               learned=member.in_flight, hosts=self._hosts)  # fmt: skip
        except AccessError as error:
            if self._broken.get(member.name) != str(error):
                log.error("appliance cannot be asked; its jobs stay as they are", appliance=member.name, why=str(error))
            self._broken[member.name] = str(error)
            return
        self._broken.pop(member.name, None)
        client.heard.generation = member.generation
        client.breaker.listeners.append(lambda is_open: None if is_open else self._back(member.name))
        self._clients[member.name] = client

    def _retire(self, name: str) -> None:
        """Questions under way are still answered."""
        client = self._clients.pop(name, None)
        if client is not None:
            task = asyncio.get_running_loop().create_task(self._close_later(client))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _close_later(self, client: VmaClient) -> None:
        try:
            await asyncio.sleep(self.limits.total)
        finally:
            await client.aclose()

    def _back(self, name: str) -> None:
        for listener in self.listeners:
            listener(name)

    def _state(self, member: Member) -> ApplianceState:
        client = self._clients.get(member.name)
        if client is None:
            why = self._broken.get(member.name)
            return ApplianceState(
                member.name, member.access.url, member.paused, False, None, why, None, 0, 0, 0,
                member.generation, None, 0, None,
            )  # fmt: skip
        breaker, heard, places = client.breaker, client.heard, client.places
        asked = heard.at is not None or breaker.failures > 0
        return ApplianceState(
            member.name, client.base_url, member.paused, breaker.failures == 0 if asked else None, heard.at,
            breaker.last_error if breaker.failures else None, breaker.opened_at, places.active, int(places.limit),
            places.waiting, heard.generation, heard.forgot_at, heard.forgotten, heard.refused_since,
        )  # fmt: skip
