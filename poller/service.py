"""The poller as a whole: recovery at the start, loops that are kept alive, an orderly end."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from db.errors import RecoveryRunningError
from db.store import Store
from fsm.evidence import Evidence
from fsm.facts import Asked, JobFacts
from fsm.states import Asker
from poller.metrics import Metrics
from poller.monitor import Monitor
from poller.ownership import SOLE, Ownership
from poller.poll_log import UNLOGGED, PollLog
from poller.poller import Poller
from poller.recovery import Recovery, close_cut_off
from poller.sharing import Sharing
from poller.status import JobPollingStatus
from poller.vmas import Vmas
from vma.observer import Observer

log = structlog.get_logger(__name__)
DRAIN = 6.5  # seconds for questions under way; the client gives up after 6
RESTART = 1.0  # seconds before a loop that failed is started again


class PollingService:
    """Owns the loops. `start` returns at once: recovery goes on while the API already answers."""

    def __init__(
        self,
        store: Store,
        client: Vmas,
        observer: Observer,
        ownership: Ownership = SOLE,
        poll_log: PollLog = UNLOGGED,
    ) -> None:
        self.store, self.client, self.observer = store, client, observer
        self.metrics = Metrics()
        self.ownership = ownership
        self.poller = Poller(store, client, observer, self.metrics, ownership, poll_log)
        self.sharing = Sharing(self.poller)
        self.recovery = Recovery(self.poller)
        self.monitor = Monitor(self.poller, store.policy)
        self._tasks: list[asyncio.Task[None]] = []
        self.beat = observer.uptime()  # when the event loop last ran our heartbeat

    @property
    def running(self) -> bool:
        """True between start and stop."""
        return bool(self._tasks)

    def start(self) -> None:
        """Start recovery and the loops; a replica that only answers the API asks about what happened to it alone."""
        self.poller.poll_log.began()
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "ask": self.poller.ask_loop,
            "apply": self.poller.apply_loop,
            "heartbeat": self._heartbeat,
        }
        if self.ownership.polls:
            loops["monitor"] = self.monitor.loop
        if self.ownership.shared:
            loops["shares"] = self.sharing.loop
        self._tasks = [asyncio.create_task(self._keep_alive(name, loop), name=name) for name, loop in loops.items()]
        if self.ownership.polls:
            self._tasks.append(asyncio.create_task(self._recover_at_start(), name="recovery"))

    async def stop(self) -> None:
        """Ask no more, let the questions under way come back, write them, and close."""
        log.info("Polling stops", scheduled=len(self.poller.schedule))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self.ownership.leave()
        await self.poller.drain(DRAIN)
        await self.recovery.flush()
        await self.client.aclose()
        self.poller.poll_log.ended()
        log.info("Polling stopped; every answer that came is written")

    # --- what the API asks for -------------------------------------------------------------------

    def wake(self, job_id: str) -> None:
        """Ask about a job now: something happened to it."""
        self.poller.put(job_id)

    def is_polling(self, job_id: str) -> bool:
        """True if the job is in the schedule of this process."""
        return job_id in self.poller.schedule

    def is_polled(self, job_id: str) -> bool:
        """True if the job is in the schedule of this process, or another replica's to ask about."""
        return self.is_polling(job_id) or self.ownership.elsewhere(job_id)

    def polled_job_ids(self) -> list[str]:
        """The jobs in the schedule of this process."""
        return sorted(entry.job_id for entry in self.poller.schedule)

    async def polling_status(self, job_id: str) -> JobPollingStatus:
        """How a job is polled, and how that goes. NotFoundError, UnreadableJobError."""
        loaded = await asyncio.to_thread(self.store.loaded, job_id)
        polling, polled = self.is_polling(job_id), self.is_polled(job_id)
        return JobPollingStatus.of(loaded, self.observer.now(), is_polling=polling, is_polled=polled)

    async def ask(self, facts: JobFacts) -> Evidence:
        """Ask the VMA about a job now, beside the schedule."""
        return await self.poller.ask(facts)

    # --- loops -----------------------------------------------------------------------------------

    async def _recover_at_start(self) -> None:
        """Recovery of all active jobs of ours; waits, and says so, while the database is away."""
        asked = Asked(Asker.STARTUP)
        await self.sharing.begun.wait()
        while True:
            try:
                await close_cut_off(self.poller)
                await self.monitor.heed_oma()
                await self.recovery.start(asked)
            except RecoveryRunningError as error:
                log.info("Recovery at the start comes after one that was triggered before it", why=str(error))
                await self.recovery.finished.wait()
            except Exception as error:  # whatever it is, jobs wait for us: try until it works
                log.error("Recovery cannot start; trying again", why=str(error)[:300], every_seconds=RESTART)
                await asyncio.sleep(RESTART)
            else:
                return

    async def _keep_alive(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await loop()
            except Exception:
                log.exception("loop failed; it is started again", loop=name)
                await asyncio.sleep(RESTART)

    async def _heartbeat(self) -> None:
        while True:
            self.beat = self.observer.uptime()
            await asyncio.sleep(1.0)
