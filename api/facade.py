"""The facade: all that this service does, for REST and for a service that embeds it as a library."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from api.errors import RefusedError, StartedBeforeError
from api.settings import Settings
from api.vma_settings import access_of, limits_of
from db.apply import Applied
from db.engine import make_engine, read, redacted
from db.errors import StoreError
from db.jobs import NewJob, NewVolume
from db.load import Loaded
from db.sole import SILENCE
from db.store import Answer, Store
from fsm.decision import Decision
from fsm.facts import Asked
from fsm.states import Asker, Event, Verdict
from migrations.runner import require_current, set_up
from poller.appliances import Appliances
from poller.places import place_of
from poller.poll_log import open_log
from poller.recovery import Run
from poller.rehearsal import rehearse
from poller.service import PollingService
from poller.threads import Threads
from vma.fleet import Fleet
from vma.observer import Observer

log = structlog.get_logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
RETRY = 1.0  # seconds until a database that is away is tried again
WORKERS = 8  # threads for what is asked from outside: fewer than the engine has connections, 15


class OmaFsm:
    """The whole service without its web server. `start` and `stop` belong to one event loop."""

    def __init__(self, settings: Settings, *, observer: Observer | None = None) -> None:
        """What cannot be used as configured: DatabaseUrlError, AccessError, CoordinationUrlError, PollLogError."""
        self.settings = settings
        self.observer = observer or Observer()
        self.engine: Engine = make_engine(settings.database_url)
        self.store = Store(self.engine, settings.policy, timedelta(days=settings.keep_polls_days))
        self.fleet = Fleet(limits_of(settings.vma), self.observer, settings.vma.hosts)
        self.appliances = Appliances(self.engine, self.fleet, access_of(settings.vma), settings.vma.hosts)
        self.place, ownership = place_of(self.engine, self.observer, settings.replicas)
        poll_log = open_log(settings.poll_log, self.observer, ownership)
        self.polling = PollingService(self.store, self.fleet, self.observer, ownership, poll_log)
        self.fleet.listeners.append(self.polling.poller.is_back)
        self.polling.metrics.waiting.set_function(self.fleet.waiting)
        self._claim: asyncio.Task[None] | None = None
        self._fleet_keeper: asyncio.Task[None] | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._begun = self.ready = self._away = False
        # One thread, so that the claim to the database is let go of after whatever was taking it, also when we stop.
        self._claimant = Threads("claim")
        self._workers = Threads("api", WORKERS)  # monitor and recovery have others, however many callers wait

    async def start(self) -> None:
        """Check the database and start polling, once; waits in the background for a database that is away.

        SchemaMismatch, NotAdoptedError, UnknownStatesError and SecondProcessError mean that this process must not run.
        """
        if self._begun:
            raise StartedBeforeError
        if not self._away:
            try:
                await self._begin()
            except DBAPIError as error:
                self.is_away(error)
        if self._away:
            self._waiting = asyncio.create_task(self._wait_for_database())
        self._begun = True

    def is_away(self, error: DBAPIError) -> None:
        """`prepare` found that the database does not answer: `start` does not try that first, but waits for it."""
        log.error("Database is away; waiting for it", database=self._where, why=str(error.orig)[:300])
        self._away = True

    async def _begin(self) -> None:
        await self._claimant.run(self.prepare)
        await self.appliances.look()
        self.polling.start()
        self._fleet_keeper = asyncio.create_task(self.appliances.loop(), name="appliances")
        self._claim = asyncio.create_task(self._keep_claim(), name="claim")
        self.ready = True
        log.info("Service started", database=self._where, vma=str(self.settings.vma.url))

    def prepare(self) -> None:
        """A database that is empty is set up; one that is older or newer than the code is refused.

        SecondProcessError, UnfitForReplicasError, SchemaMismatch, NotAdoptedError; UnknownStatesError for jobs in
        states that this release does not have.
        """
        self.place.take()
        set_up(self.engine)
        require_current(self.engine)
        self.store.require_known_states()
        self.store.note_spec(self.observer.now())
        self.place.sign(self.observer.now())

    async def _keep_claim(self) -> None:
        """Show the database server that we live, and take a lost claim again."""
        while True:
            await asyncio.sleep(SILENCE / 4)
            try:
                await self._claimant.run(self.place.check)
            except Exception:
                log.exception("the claim to the database could not be looked at; it is tried again")

    async def _wait_for_database(self) -> None:
        while not self.ready:
            await asyncio.sleep(RETRY)
            try:
                await self._begin()
            except DBAPIError as error:
                log.warning("Database is still away", database=self._where, why=str(error.orig)[:200])
            except Exception as error:  # it is back, but not to be served as it is; whatever it is, jobs wait for us
                unforeseen = not isinstance(error, StoreError)
                log.error("Database cannot be served", database=self._where, why=str(error), exc_info=unforeseen)

    async def stop(self) -> None:
        """Stop polling in order and let go of the database."""
        for task in (self._waiting, self._claim, self._fleet_keeper):
            if task is not None:
                task.cancel()
        try:
            await self.polling.stop()
            if self.ready:
                await self.appliances.keep()
        finally:  # whatever went wrong, the database is free for another service
            self.ready = False
            await self._claimant.run(self.close)

    def close(self) -> None:
        """Let go of the database, after `stop` or after a `prepare` that no start followed."""
        self.place.release()
        self.engine.dispose()
        self.polling.poller.poll_log.close()

    @property
    def _where(self) -> str:
        return redacted(self.settings.database_url)

    # --- what can be asked -----------------------------------------------------------------------

    async def read(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run one of `db.views` in a read transaction."""
        return await self.work(self._read, work, *args, **kwargs)

    def _read(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        with read(self.engine) as connection:
            return work(connection, *args, **kwargs)

    async def work(self, what: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what takes its time in one of the threads that all who ask from outside share."""
        return await self._workers.run(what, *args, **kwargs)

    async def loaded(self, job_id: str) -> Loaded:
        """One job with its polling row. NotFoundError."""
        return await self.work(self.store.loaded, job_id)

    async def dry_run(self, job_id: str, event: Event, asked: Asked) -> Decision:
        """What `fire` would decide. NotFoundError."""
        return await self.work(self.store.dry_run, job_id, event, self.observer.now(), asked=asked)

    # --- what can be done ------------------------------------------------------------------------

    async def create_job(self, new: NewJob, asked: Asked | None = None) -> Decision:
        """Create a job. An inferred end of the VM that is under watch is asked about first.

        RefusedError if the VM is not free; ConflictError for an id that exists.
        """
        asked, about = asked or Asked(), await self._ask_about_watched(new)
        decision = await self.work(self.store.create, new, self.observer.now(), asked=asked, asked_about=about)
        if not decision.moved:
            raise RefusedError(decision)
        log.info("Job created", job_id=decision.after.job_id, vm=new.vm_name, disks=len(new.disks))
        self.polling.wake(decision.after.job_id)
        return decision

    async def _ask_about_watched(self, new: NewJob) -> dict[str, Verdict]:
        vm = await self.work(self.store.vm_facts, new)
        if vm.watched_job is None or vm.unfinished_job is not None:
            return {}
        facts = (await self.loaded(vm.watched_job)).facts
        if self.polling.client.paused(facts.appliance):  # it may know nothing of a copy that runs
            return {}
        evidence = await self.polling.ask(facts)
        answer = Answer(facts.job_id, facts.version, evidence, Asked(Asker.WORKFLOW))
        for applied in await self.polling.poller.apply([answer]):
            log.info("Inferred end asked about before a new job", job_id=facts.job_id, verdict=evidence.verdict,
                     outcome=applied.decision.says)  # fmt: skip
        return {facts.job_id: evidence.verdict}

    async def fire(self, job_id: str, event: Event, asked: Asked, key: str | None = None) -> Applied:
        """Fire an event; with a `key` it may be repeated, and is then answered as it was the first time.

        RefusedError with every failed guard; NotFoundError; ConflictError for a key of another event of the job.
        """
        applied = await self.work(self.store.fire, job_id, event, self.observer.now(), asked=asked, key=key)
        if not applied.decision.outcome.accepted:
            raise RefusedError(applied.decision)
        if not applied.repeated:
            self._follow(applied)
        return applied

    def _follow(self, applied: Applied) -> None:
        decision = applied.decision
        self.polling.metrics.count(decision)
        if decision.after.polled:
            self.polling.wake(decision.after.job_id)
        else:
            self.polling.poller.drop(decision.after.job_id)
        if decision.moved:
            log.info("Job moved", job_id=decision.after.job_id, from_state=decision.source,
                     to_state=decision.after.state, rule=decision.edge, asked_by=decision.asked.by,
                     actor=decision.asked.actor, reason=decision.reason)  # fmt: skip

    async def record_volume(self, job_id: str, disk_id: str, volume: NewVolume) -> None:
        """Tie a volume to a disk; its export key is asked about at once, so that a stale entry is known as such."""
        await self.work(self.store.record_volume, job_id, disk_id, volume, self.observer.now())
        self.polling.wake(job_id)

    async def last_change_id(self, vm_path: str, disk_id: str) -> str:
        """The ChangeID of a disk's last good copy. NotFoundError for an unknown VM."""
        return await self.work(self.store.last_change_id, vm_path, disk_id)

    async def record_change_id(self, job_id: str, disk_id: str, change_id: str, previous: str | None) -> bool:
        """Write the proof that a disk's copy ended; the job is asked about at once. NotFoundError."""
        now = self.observer.now()
        fresh = await self.work(self.store.record_change_id, job_id, disk_id, change_id, previous, now)
        log.info("Disk copied", job_id=job_id, disk_id=disk_id, known_already=not fresh)
        self.polling.wake(job_id)
        return fresh

    async def pause_appliance(self, name: str, *, paused: bool) -> int:
        """Ask nothing of an appliance, or ask again; how many jobs wait for it. NotFoundError."""
        waiting = await self.appliances.pause(name, paused=paused)
        log.info("Appliance paused" if paused else "Appliance asked again", appliance=name, jobs=waiting)
        return waiting

    async def recover(self, asked: Asked) -> Run:
        """Validate every active job against the VMA now. RecoveryRunningError if one is under way."""
        return await self.polling.recovery.start(asked)

    async def rehearse_recovery(self, asked: Asked) -> list[Decision]:
        """Ask about every job that must be polled, and say what would be decided; nothing is written."""
        return await rehearse(self.polling.poller, asked)
