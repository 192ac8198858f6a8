"""The health monitor: finds jobs that should be polled and are not, and puts them back."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from db.load import PolledJob
from fsm.facts import Asked
from fsm.policy import RecoveryPolicy
from fsm.states import Asker
from poller.metrics import Drift
from poller.poller import Poller
from poller.recovery import close_cut_off
from poller.report import report
from poller.schedule import Entry

log = structlog.get_logger(__name__)
MONITOR = Asked(Asker.MONITOR)
PRUNE_EVERY = timedelta(hours=1)
ON_ITS_WAY = timedelta(seconds=5)  # a job that another replica made is picked up before (poller/sharing.py)


@dataclass(frozen=True, slots=True)
class Finding:
    """One job out of place."""

    job_id: str
    kind: Drift


class Monitor:
    """Looks every `monitor_interval`; `counts` holds what was found since the start, by kind."""

    def __init__(self, poller: Poller, policy: RecoveryPolicy) -> None:
        self._poller, self._policy = poller, policy
        self.counts: dict[Drift, int] = dict.fromkeys(Drift, 0)
        self.restarted = 0
        self.cycles = 0
        self.drift = 0
        self.last_cycle_at: datetime | None = None
        self._pruned_at: datetime | None = None
        self._unheard_of: set[tuple[str, str | None]] = set()  # (job, status) that were logged

    async def loop(self) -> None:
        """Look again and again; a look that fails is logged and does not end it."""
        if self.last_cycle_at is None:  # who never looks is late too
            self._poller.metrics.monitor_age.set(self._poller.observer.now().timestamp())
        while True:
            await asyncio.sleep(self._policy.monitor_interval.total_seconds())
            try:
                await self.cycle()
            except Exception:
                log.exception("health monitor could not look; it tries again", every=self._policy.monitor_interval)

    async def cycle(self) -> list[Finding]:
        """One look: what was found, counted and repaired."""
        await self.heed_oma()
        scheduled = {e.job_id for e in self._poller.schedule}  # before the query: a job born since is no ghost
        began = self._poller.observer.uptime()
        jobs = await asyncio.to_thread(self._poller.store.polled_jobs)
        self._poller.poll_log.must((job.job_id for job in jobs), began)
        now = self._poller.observer.now()
        suspects = list(self._from_database(jobs, now))
        kept = {j.job_id for j in jobs if not self._is_others(j.job_id)}
        ghosts = [Finding(job_id, Drift.GHOST) for job_id in sorted(scheduled - kept)]
        found = await self._repair(suspects, now) + self._drop(ghosts)
        self._record(found, now)
        if self._poller.ownership.shared:  # of a replica that only answers the API nobody takes shares over
            await close_cut_off(self._poller)
        if self._pruned_at is None or now - self._pruned_at >= PRUNE_EVERY:
            self._pruned_at = now
            await asyncio.to_thread(self._poller.store.prune, now)
        return found

    async def heed_oma(self) -> None:
        """Take over what an OMA wrote past the machine, in a database that was adopted; before anybody is asked."""
        heeded = await asyncio.to_thread(self._poller.store.heed_oma, self._poller.observer.now())
        for applied in heeded.applied:
            self._poller.metrics.count(applied.decision)
            report(applied.decision)
        if heeded.born:
            log.info("Jobs that the OMA made are taken over", jobs=sorted(heeded.born))
        for job_id, status in heeded.unknown:
            if (job_id, status) not in self._unheard_of:
                self._unheard_of.add((job_id, status))
                log.error("The OMA wrote a status that this release does not know; the job is left alone",
                          job_id=job_id, status=status)  # fmt: skip

    def _from_database(self, jobs: Iterable[PolledJob], now: datetime) -> Iterable[Finding]:
        for job in jobs:
            kind = self._judge(job, now)
            if kind is not None:
                yield Finding(job.job_id, kind)

    def _is_others(self, job_id: str) -> bool:
        """After a freeze, until we looked again, nothing is known to be ours; that makes no job another replica's."""
        return not self._poller.guests.may_ask(job_id) and self._poller.ownership.elsewhere(job_id)

    def _judge(self, job: PolledJob, now: datetime) -> Drift | None:
        if not self._poller.ownership.owns(job.job_id):
            return Drift.UNCLAIMED if self._unclaimed(job, now) else None
        entry = self._poller.schedule.get(job.job_id)
        if entry is None and self._on_its_way(job, now):
            return None
        if entry is None or job.polling is None or not job.polling.is_active:
            return Drift.MISSING
        if self._overdue(entry, job.watched):
            return Drift.OVERDUE
        if entry.in_flight_since is None and self._unclaimed(job, now):
            return Drift.UNCLAIMED
        return None

    def _on_its_way(self, job: PolledJob, now: datetime) -> bool:
        if not self._poller.ownership.shared or job.polling is None or not job.polling.is_active:
            return False
        due = job.polling.next_due_at
        return due is not None and now - due < ON_ITS_WAY

    def _unclaimed(self, job: PolledJob, now: datetime) -> bool:
        if job.polling is None or self._poller.is_asking(job.job_id) or self._poller.client.paused(job.appliance):
            return False
        due = job.polling.next_due_at
        return due is not None and now - due > self._policy.unclaimed_after

    def _overdue(self, entry: Entry, watched: bool) -> bool:
        interval = self._policy.watch_interval if watched else self._policy.poll_interval
        if self._poller.is_asking(entry.job_id):
            return False  # asked again, it would only queue up a second time behind a slow VMA
        since = entry.due if entry.in_flight_since is None else entry.in_flight_since
        late = timedelta(seconds=self._poller.observer.uptime() - since)
        return late > self._policy.overdue_after + 3 * interval

    async def _repair(self, suspects: list[Finding], now: datetime) -> list[Finding]:
        """Put suspects back, unless they came to their end since we looked."""
        ids = [f.job_id for f in suspects]
        live = await asyncio.to_thread(self._poller.store.start_polling, ids, now) if ids else set()
        found = [f for f in suspects if f.job_id in live]
        for finding in found:
            log.warning("Found job not being polled - restarting", job_id=finding.job_id, kind=finding.kind)
            self._poller.ask_anew(finding.job_id, MONITOR)
        return found

    def _drop(self, ghosts: list[Finding]) -> list[Finding]:
        found = [f for f in ghosts if f.job_id in self._poller.schedule]
        for finding in found:
            log.warning("Found job being polled that must not be - dropping", job_id=finding.job_id, kind=finding.kind)
            self._poller.drop(finding.job_id)
        return found

    def _record(self, found: list[Finding], now: datetime) -> None:
        metrics = self._poller.metrics
        for finding in found:
            self.counts[finding.kind] += 1
            metrics.orphans.labels(finding.kind.value).inc()
        put_back = sum(f.kind is not Drift.GHOST for f in found)
        metrics.restarted.inc(put_back)
        self.restarted += put_back
        self.cycles += 1
        self.drift = len(found)
        self.last_cycle_at = now
        metrics.drift.set(self.drift)
        metrics.monitor_age.set(now.timestamp())
