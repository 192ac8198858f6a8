"""The steady poll: takes what is due, asks the VMA, applies the answers in batches."""

import asyncio
from collections import Counter
from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import structlog

from db.apply import Applied
from db.load import Loaded
from db.store import Answer, Store
from fsm.clock import ZERO
from fsm.evidence import Evidence
from fsm.facts import Asked, JobFacts
from fsm.states import Asker
from poller.answers import Answers
from poller.guests import Guests
from poller.listeners import Listeners
from poller.metrics import Metrics
from poller.ownership import SOLE, Ownership
from poller.phase import until_phase
from poller.poll_log import UNLOGGED, PollLog
from poller.report import report
from poller.schedule import POLL, Schedule
from poller.vmas import Behind, LastHeard, Vmas
from vma.composite import Question
from vma.observer import Observer

log = structlog.get_logger(__name__)
RETRY = 1.0  # seconds until the database is tried again
PATIENCE = 3  # answers in a row that come to nothing before nobody waits for the job any more
TICK = 0.05  # seconds between two looks at the schedule: what comes due meanwhile is read together
PAUSED = 5.0  # seconds until a job of a paused appliance is looked at again


class Poller:
    """Asks about every job of the schedule; `listeners` hear of each job asked about (None: nothing came of it)."""

    def __init__(
        self,
        store: Store,
        client: Vmas,
        observer: Observer,
        metrics: Metrics,
        ownership: Ownership = SOLE,
        poll_log: PollLog = UNLOGGED,
    ) -> None:
        self.store, self.client, self.observer, self.metrics = store, client, observer, metrics
        self.ownership, self.poll_log = ownership, poll_log
        self.schedule = Schedule()
        self.guests = Guests(ownership, self.schedule)
        self.listeners = Listeners()
        self.heard: dict[str, LastHeard] = {}  # by appliance, those that were asked
        self.tick, self.spread = TICK, True
        self._wake = asyncio.Event()
        self.answers = Answers()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._reading: Set[str] = frozenset()  # jobs that were due and are being read
        self._unsettled: set[str] = set()  # jobs with an answer that is not applied yet
        self._applying: asyncio.Task[list[Applied]] | None = None
        self._vain: Counter[str] = Counter()  # answers in a row that came to nothing, by job
        self._behind = Behind()
        # Threads of its own: however many requests the API has to serve, polling does not wait behind them.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="poll-reader")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="poll-writer")

    # --- the schedule ----------------------------------------------------------------------------

    def put(self, job_id: str, asked: Asked = POLL, delay: float = 0.0) -> None:
        """Ask about a job after `delay` seconds: again and again if it is ours, else once."""
        self.guests.note(job_id)
        self.poll_log.put(job_id, delay)
        now = self.observer.uptime()
        if job_id in self.schedule or not self.is_busy(job_id):
            self.schedule.put(job_id, now + delay, asked)
        else:  # it left while a question was under way, and is back: one at a time
            self.schedule.put_behind(job_id, now, asked)
        self.metrics.scheduled.set(len(self.schedule))
        self._wake.set()

    def drop(self, job_id: str) -> None:
        """Ask about a job no more; who waits for a question that was not put yet hears that nothing came of it."""
        entry = self.schedule.get(job_id)
        self.poll_log.left(job_id)
        self.schedule.drop(job_id)
        self._vain.pop(job_id, None)
        self.guests.forget(job_id)
        self.metrics.scheduled.set(len(self.schedule))
        if entry is not None and entry.in_flight_since is None:
            self.listeners.tell(job_id, None)

    def ask_anew(self, job_id: str, asked: Asked) -> None:
        """Ask about a job now; a question that nobody is busy with any more is taken for lost."""
        if not self.is_busy(job_id):
            self.schedule.lost(job_id)
        self.put(job_id, asked)

    def is_asking(self, job_id: str) -> bool:
        """True while the client holds a question about the job; its own time limits end that."""
        return job_id in self._asking

    def is_busy(self, job_id: str) -> bool:
        """True while a question about the job, or its answer, is under way; also while it is read to be asked."""
        return job_id in self._asking or job_id in self._unsettled or job_id in self._reading

    # --- asking ----------------------------------------------------------------------------------

    async def ask_loop(self) -> None:
        """Take what is due and ask, until cancelled."""
        while True:
            self._wake.clear()
            looked_at = self.observer.uptime()
            due = self.schedule.take_due(looked_at, self.metrics.lateness.observe)
            if due:
                await self._ask_all(due)
                await asyncio.sleep(max(self.tick - (self.observer.uptime() - looked_at), 0.0))
                continue
            await self._sleep()

    async def _sleep(self) -> None:
        at = self.schedule.next_due()
        pause = None if at is None else max(at - self.observer.uptime(), 0.0)
        with suppress(TimeoutError):  # not wait_for: before Python 3.12 it may swallow the cancellation that stops us
            async with asyncio.timeout(pause):
                await self._wake.wait()

    async def _ask_all(self, due: Sequence[tuple[str, Asked]]) -> None:
        self._reading = {job_id for job_id, _ in due}
        try:
            loaded = await self._read([job_id for job_id, _ in due])
        except Exception as error:  # the database is away: everything due stays due
            log.error("database cannot be read; polling waits for it", why=str(error)[:300], jobs=len(due))
            self.poll_log.waits([job_id for job_id, _ in due], "database", RETRY)
            await asyncio.sleep(RETRY)
            self._reading = frozenset()  # or who left the schedule meanwhile would wait for the end of this reading
            for job_id, asked in due:
                self._again(job_id, 0.0, asked)
            return
        finally:
            self._reading = frozenset()
        for job_id, asked in due:
            self._ask_one(job_id, loaded.get(job_id), asked)

    async def _read(self, ids: Sequence[str]) -> dict[str, Loaded]:
        return await asyncio.get_running_loop().run_in_executor(self._reader, self.store.load, ids)

    def _ask_one(self, job_id: str, loaded: Loaded | None, asked: Asked) -> None:
        """A job that ended, vanished, went to another replica or whose polling row is off leaves the schedule here."""
        if loaded is None or not loaded.facts.polled or loaded.polling is None or not loaded.polling.is_active:
            self._leave(job_id, asked)
            return
        paused = self.client.paused(loaded.facts.appliance)
        if not self.guests.may_ask(job_id) or (paused and not self.ownership.owns(job_id)):
            self._leave(job_id, asked)
            return
        if paused:
            self.poll_log.waits([job_id], "paused", PAUSED)
            self._again(job_id, PAUSED, POLL)
            self.listeners.tell(job_id, None)
            return
        self._asking[job_id] = asyncio.create_task(self._question(loaded, asked), name=f"ask {job_id}")

    def _leave(self, job_id: str, asked: Asked) -> None:
        entry = self.schedule.get(job_id)
        if entry is not None and entry.again:  # somebody changed something while the job was read
            self._again(job_id, 0.0, asked)
            return
        log.debug("job leaves the schedule", job_id=job_id)
        self.drop(job_id)
        self.listeners.tell(job_id, None)

    async def _question(self, loaded: Loaded, asked: Asked) -> None:
        facts = loaded.facts
        self.poll_log.asks(loaded, asked)
        try:
            evidence = await self.ask(facts)
        except Exception:  # a client promises not to raise; if it does, the job must not be forgotten
            log.exception("a question failed; it is put again", job_id=facts.job_id)
            self.poll_log.broken(loaded, RETRY)
            self._asking.pop(facts.job_id, None)  # as above
            self._again(facts.job_id, RETRY, asked)
            return
        finally:
            self._asking.pop(facts.job_id, None)
        self._unsettled.add(facts.job_id)
        self.answers.put(Answer(facts.job_id, facts.version, evidence, asked, loaded.polls))

    async def ask(self, facts: JobFacts) -> Evidence:
        """Ask the VMA about a job, beside the schedule."""
        evidence = await self.client.ask(Question.of(facts))
        self._behind.note(facts, evidence)
        self.heard.setdefault(facts.appliance, LastHeard()).note(evidence)
        return evidence

    def is_back(self, appliance: str) -> None:
        """An appliance answers again: all its jobs are due within a second, spread."""
        if appliance in self.heard:  # perhaps it has no job any more that would be asked about
            self.heard[appliance].error = None
        for job_id, delay in self._behind.leave(appliance):
            if job_id in self.schedule:
                self.put(job_id, POLL, delay)

    # --- applying --------------------------------------------------------------------------------

    async def apply_loop(self) -> None:
        """Apply answers as they come, as many in one transaction as have gathered, until cancelled."""
        while True:
            batch = await self.answers.gather()
            try:
                self._applying = asyncio.create_task(self.apply(batch), name="apply batch")
                await asyncio.shield(self._applying)  # what is being written when we stop is settled all the same
            except Exception:  # a bug: the monitor has these jobs asked again
                self._unsettled.difference_update(answer.job_id for answer in batch)
                raise

    async def apply(self, batch: Sequence[Answer]) -> list[Applied]:
        """Apply answers; what could not be written is asked again: the VMA still knows it."""
        loop = asyncio.get_running_loop()
        try:
            now = self.observer.now()
            batch = [answer.known_at(self.observer.steps) for answer in batch]
            applied = await loop.run_in_executor(self._writer, self.store.answer, batch, now)
        except Exception as error:  # a full disk, a lost server: no verdict is lost, it will be asked for again
            log.error("answers cannot be written; these jobs are asked again", why=str(error)[:300], jobs=len(batch))
            applied, away = [], True
        else:
            away = False
        done = {a.decision.before.job_id: a for a in applied}
        for answer in batch:
            self._settle(answer, done.get(answer.job_id), away=away)
        self.poll_log.settled(batch, done, self.schedule, away=away)
        return applied

    def _settle(self, answer: Answer, applied: Applied | None, *, away: bool) -> None:
        self._unsettled.discard(answer.job_id)
        # If this one came beside the schedule, the job's own question is still to come, and says when it is asked next.
        beside = answer.job_id in self._asking or answer.job_id in self._reading
        if applied is None:
            if not beside:
                self._came_to_nothing(answer, away=away)
            return
        self._vain.pop(answer.job_id, None)
        decision = applied.decision
        self.metrics.count(decision)
        report(decision)
        if applied.next_due_at is None or self.guests.leaves(answer.job_id):
            self.drop(answer.job_id)
        elif not beside:
            waited = max(decision.at - answer.evidence.observed_at, ZERO).total_seconds()  # to be written
            pause = (applied.next_due_at - decision.at).total_seconds()
            self._done(answer.job_id, max(self._spread(answer, pause, waited) - waited, 0.0))
        self.listeners.tell(answer.job_id, applied)

    def _spread(self, answer: Answer, pause: float, waited: float) -> float:
        """Each job has a moment of its own, but nobody is asked before the time that he himself named.

        After a recovery, which may still go on, no job comes before its time.
        """
        if not self.spread or answer.evidence.retry_after is not None or answer.asked.by.is_recovery:
            return pause
        return until_phase(answer.job_id, self.observer.uptime() - waited, pause)

    def _came_to_nothing(self, answer: Answer, *, away: bool) -> None:
        """Changed meanwhile, or impossible to judge or write: whoever wanted to know still does, but not for ever."""
        self._vain[answer.job_id] += not away
        vain = self._vain[answer.job_id]
        pause = min(RETRY * (1 << min(vain, 16)), self.store.policy.backoff_max.total_seconds())
        if vain < PATIENCE:
            self._again(answer.job_id, pause, answer.asked)
            if answer.job_id not in self.schedule:  # it left during its question
                self.listeners.tell(answer.job_id, None)
        elif self.guests.leaves(answer.job_id):
            self._leave(answer.job_id, answer.asked)
        else:
            self._done(answer.job_id, pause)
            if answer.asked.by is not Asker.POLL:  # a recovery must not wait for ever; ordinary polls give up nothing
                self.listeners.tell(answer.job_id, None)

    def _again(self, job_id: str, delay: float, asked: Asked) -> None:
        self._done(job_id, delay)
        if asked.by is not Asker.POLL:
            self.put(job_id, asked, delay)

    def _done(self, job_id: str, pause: float) -> None:
        now = self.observer.uptime()
        self.schedule.done(job_id, now + pause, now)
        self._wake.set()

    # --- the end ---------------------------------------------------------------------------------

    async def drain(self, patience: float) -> None:
        """Let the questions under way come back and write what came; call with the loops cancelled."""
        under_way = [*self._asking.values(), *([self._applying] if self._applying else [])]
        if under_way:
            await asyncio.wait(under_way, timeout=patience)
        for task in self._asking.values():
            task.cancel()
        if batch := self.answers.rest():
            await self.apply(batch)
        if self._applying is not None:  # its thread is waited for in any case, and what it wrote counts
            await asyncio.wait([self._applying])
        self._reader.shutdown(wait=True)
        self._writer.shutdown(wait=True)
