"""One run of our own service in a simulated world: the whole polling service and the facade, on a loop of its own."""

import asyncio
import sqlite3
import zlib
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from sim_replicas import SimReplica
from sim_vma import SimFleet
from sqlalchemy.exc import OperationalError
from virtual_loop import Desk, VirtualLoop

from api.facade import OmaFsm
from fsm.policy import RecoveryPolicy
from poller.by_locks import ByLocks
from poller.ownership import SOLE, Ownership
from poller.poll_log import WrittenLog
from poller.service import PollingService
from poller.shares import SharedOwnership
from poller.threads import Threads
from vma.observer import Observer

if TYPE_CHECKING:
    from simulation import World

BEAT = 60.0  # seconds: the heartbeat shows that a real loop lives; every second of a day would cost a simulation half


class Reach:
    """The store as one process reaches it: not at all while the database is away."""

    def __init__(self, world: "World") -> None:
        self._world, self._store = world, world.store.for_a_process()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._world.database_away:
                raise OperationalError("any", {}, sqlite3.OperationalError("database is locked"))
            return found(*args, **kwargs)

        call.__name__ = name
        setattr(self, name, call)
        return call


class Facade(OmaFsm):
    """What the API calls, around the parts of a simulated process."""

    def __init__(self, store: Any, polling: PollingService, observer: Observer) -> None:
        self.store, self.polling, self.observer = store, polling, observer
        self._workers = Threads("api")


class Mortal:
    """A policy that kills the monitor once, from outside what it guards against."""

    def __init__(self, policy: RecoveryPolicy) -> None:
        self._policy, self._dead = policy, False

    def __getattr__(self, name: str) -> Any:
        if name == "monitor_interval" and not self._dead:
            self._dead = True
            raise RuntimeError("the monitor dies")
        return getattr(self._policy, name)


class SimProcess:
    """`place`: which of the replicas it is."""

    def __init__(self, world: "World", name: str, place: int = 0, *, polls: bool = True) -> None:
        self.world, self.name, self.place, self.polls = world, name, place, polls
        self.alive, self.frozen, self.stopping = True, False, False
        self.began = world.time.seconds
        self.died: float | None = None
        self.loop = VirtualLoop(world.time, Desk(self._desk_seconds, self._done_first, self._on_work))
        self.observer = Observer(world.time.wall, world.time.monotonic, id=name)
        self.store: Any = Reach(world)
        self.fleet = fleet = SimFleet(world.appliances.values(), self.observer, self._asked_at, world.paused)
        ownership = self._ownership()
        log = WrittenLog(world.lines.append, self.observer, ownership, boot_id="one machine")
        self.service = PollingService(self.store, fleet, self.observer, ownership, log)
        self.service._heartbeat = self._beat  # type: ignore[method-assign]
        for client in fleet.clients.values():
            client.breaker.listeners.append(self._back(client.name))
        self.facade = Facade(self.store, self.service, self.observer)
        self._works = 0

    def _ownership(self) -> Ownership:
        if self.world.locks is None:
            return SOLE
        replica: Any = SimReplica(self.world.locks, self.name, polls=self.polls)
        return SharedOwnership(ByLocks(replica), self.observer)

    def _back(self, appliance: str) -> Callable[[bool], None]:
        return lambda is_open: None if is_open else self.service.poller.is_back(appliance)

    async def _beat(self) -> None:
        while True:
            self.service.beat = self.observer.uptime()
            await asyncio.sleep(BEAT)

    @property
    def runs(self) -> bool:
        """True while anything of it is executed."""
        return self.alive and not self.frozen

    @property
    def serves(self) -> bool:
        """True if it takes requests."""
        return self.runs and not self.stopping

    def start(self) -> None:
        """As the API starts it."""
        self.loop.call_soon(self.service.start)

    def do(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Have something done, as by a request."""
        self.loop.call_soon(lambda: self.loop.create_task(work()))

    def kill(self) -> None:
        """SIGKILL: what was not written is lost, and nothing cleans up."""
        self.alive, self.died = False, self.world.time.seconds
        self.loop.abandon()

    # --- threads and questions -------------------------------------------------------------------

    def _asked_at(self) -> float:
        self.world.notice("asking", self)
        return self.world.time.seconds

    def _on_work(self, work: Any) -> None:
        name = getattr(work, "__name__", "")
        self.world.notice({"answer": "writing", "load": "reading"}.get(name, ""), self)

    def _desk_seconds(self) -> float:
        return self.world.desk_seconds()

    def _done_first(self) -> bool:
        self._works += 1
        return bool(zlib.crc32(b"%s %d" % (self.name.encode(), self._works)) & 1)
