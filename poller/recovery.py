"""Recovery: every active job is put to the VMA at once, and the run is recorded."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, repeat
from typing import Any

import structlog

from db.apply import Applied
from db.errors import RecoveryRunningError
from fsm.decision import Decision
from fsm.facts import Asked
from fsm.states import Asker, Ending, Verdict
from poller.poller import Poller

log = structlog.get_logger(__name__)
RECORD_AGAIN = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds until a record is tried again; the last again and again
RECORD_EVERY = 1.0  # seconds between two records of how far a run has come
LAST_RECORD = 1.0  # seconds that a record under way may take when we stop


@dataclass(slots=True)
class Run:
    """One recovery run while it goes on."""

    run_id: int
    asked: Asked
    started_at: datetime
    waiting: set[str]
    total: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    began: float = 0.0  # seconds of the observer's monotonic clock
    recorded: float = 0.0  # as began: when its record last said how far it has come
    answered: list[float] = field(default_factory=list)  # seconds until each job's first answer was applied

    @property
    def seconds_to_answer(self) -> dict[str, float]:
        """How soon it heard of its jobs, by share of them; empty before the first."""
        waits = sorted(self.answered)
        places = {"p50": len(waits) // 2, "p95": len(waits) * 95 // 100, "max": len(waits) - 1}
        return {name: round(waits[place], 3) for name, place in places.items()} if waits else {}

    @property
    def looked_at(self) -> int:
        """Jobs whose first answer was applied."""
        return self.total - len(self.waiting)


def outcome_of(decision: Decision) -> str:
    """What a validation came to, in a word of the run's record."""
    if decision.moved and decision.after.ending is Ending.INFERRED:
        return "ended_by_inference"
    if decision.moved and decision.after.ending is not None:
        return f"{decision.after.state}_on_vma"
    verdict = decision.evidence.verdict if decision.evidence else None
    return "running" if verdict is Verdict.RUNNING else f"waiting_{verdict}"


async def close_cut_off(poller: Poller) -> None:
    """Close the records of the runs whose process is gone: whoever follows one would wait for ever."""
    living = {*await asyncio.to_thread(poller.ownership.living), poller.observer.id}
    await asyncio.to_thread(poller.store.abandon_runs, poller.observer.now(), living)


class Recovery:
    """Runs recoveries, one at a time."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._store = poller.store
        self._opening = asyncio.Lock()
        self._recording: set[asyncio.Task[object]] = set()
        self._next_record: asyncio.TimerHandle | None = None  # of a run that was recorded less than a second ago
        self.run: Run | None = None
        self.finished = asyncio.Event()  # none is being opened or goes on; at first, none ever was
        poller.listeners.append(self._heard)

    async def start(self, asked: Asked) -> Run:
        """Put every job that must be polled to the VMA now, but those of paused appliances; at a start, those of ours.

        RecoveryRunningError if a run is under way; one that is just being opened is waited for, to name it.
        """
        async with self._opening:
            if self.run is not None:
                raise RecoveryRunningError(self.run.run_id)
            self.finished.clear()
            try:
                self.run = run = await self._open(asked)
            except BaseException:
                self.finished.set()
                raise
        log.info("Recovery started", run_id=run.run_id, jobs=run.total, asked_by=asked.by)
        for job_id in sorted(run.waiting):
            self._poller.put(job_id, asked)
        self._finish_if_over()
        return run

    async def _open(self, asked: Asked) -> Run:
        us, of_ours = self._poller.observer.id, asked.by is Asker.STARTUP
        others = set() if of_ours else {*await asyncio.to_thread(self._poller.ownership.living)} - {us}
        now, began = self._poller.observer.now(), self._poller.observer.uptime()
        must = await asyncio.to_thread(self._store.polled_jobs)
        self._poller.poll_log.must((job.job_id for job in must), began)
        jobs = [job for job in must if self._covers(asked, job.job_id)]
        put = {job.job_id for job in jobs if not self._poller.client.paused(job.appliance)}
        off = [j.job_id for j in jobs if j.polling is None or not j.polling.is_active]
        await asyncio.to_thread(self._store.start_polling, off, now)
        run_id = await asyncio.to_thread(self._store.open_run, now, asked, len(put), us, others)
        for job in jobs:
            if job.job_id not in put:  # nobody may ask before its appliance is resumed
                self._poller.put(job.job_id)
        return Run(run_id, asked, now, put, len(put), began=began, recorded=began)

    def _covers(self, asked: Asked, job_id: str) -> bool:
        """A start of this replica is one of its own jobs; who triggers a recovery by hand wants all jobs validated."""
        return asked.by is not Asker.STARTUP or self._poller.ownership.owns(job_id)

    def _heard(self, job_id: str, applied: Applied | None) -> None:
        run = self.run
        if run is None or job_id not in run.waiting:
            return
        ordinary = applied is not None and not applied.decision.asked.by.is_recovery
        if ordinary and job_id in self._poller.schedule:
            return  # a poll that was under way; ours comes next. Not if the job ended with it, or went elsewhere
        run.waiting.discard(job_id)
        if applied is not None:
            run.answered.append(self._poller.observer.uptime() - run.began)
        run.outcomes["left" if applied is None else outcome_of(applied.decision)] += 1
        if run.waiting:
            self._record_at_times(run)
        self._finish_if_over()

    def _finish_if_over(self) -> None:
        run = self.run
        if run is None or run.waiting:
            return
        self.run = None
        self._forget_next_record()
        now = self._poller.observer.now()
        log.info("Recovery finished", run_id=run.run_id, jobs=run.total, outcomes=dict(run.outcomes),
                 seconds=round((now - run.started_at).total_seconds(), 3))  # fmt: skip
        self._in_background(self._record(run, now))
        self.finished.set()

    def _record_at_times(self, run: Run) -> None:
        """Whoever reads it at another replica sees it go on too; the next answer may be long in coming."""
        pause = run.recorded + RECORD_EVERY - self._poller.observer.uptime()
        if pause <= 0:
            self._record_now(run)
        elif self._next_record is None:
            self._next_record = asyncio.get_running_loop().call_later(pause, self._record_now, run)

    def _record_now(self, run: Run) -> None:
        self._forget_next_record()
        run.recorded = self._poller.observer.uptime()
        self._in_background(self._recorded(run, None))

    def _forget_next_record(self) -> None:
        if self._next_record is not None:
            self._next_record.cancel()
            self._next_record = None

    def _in_background(self, recording: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(recording)
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def _record(self, run: Run, finished: datetime) -> None:
        """Who watches the run waits for its record."""
        for pause in chain(RECORD_AGAIN, repeat(RECORD_AGAIN[-1])):
            if await self._recorded(run, finished):
                return
            await asyncio.sleep(pause)

    async def _recorded(self, run: Run, finished: datetime | None) -> bool:
        try:
            await asyncio.to_thread(
                self._store.note_run, run.run_id, run.looked_at, dict(run.outcomes), run.seconds_to_answer, finished
            )
        except Exception as error:  # the run itself succeeded; only its record is missing
            log.error(
                "A recovery run could not be recorded; that is tried again", run_id=run.run_id, why=str(error)[:300]
            )
            return False
        return True

    async def flush(self) -> None:
        """Record an unfinished run before we stop, and wait for the records under way, but not for another try."""
        self._forget_next_record()
        if self.run is not None:
            await self._recorded(self.run, None)
        if self._recording:
            _, late = await asyncio.wait(set(self._recording), timeout=LAST_RECORD)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
