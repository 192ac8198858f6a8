"""Polling over REST: who is polled, how that goes, and how the VMA is."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection, RowMapping

from api.deps import Service, percent, require_ready
from api.facade import OmaFsm
from api.fields import JobId
from api.job_views import ConditionView, PollingView, polling_fields
from api.problems import documented
from db import views
from db.load import load
from fsm.conditions import conditions
from fsm.facts import DEFAULT_APPLIANCE, JobFacts

router = APIRouter(prefix="/api/v1/vma-polling", tags=["polling"], dependencies=[Depends(require_ready)])


class PolledJob(PollingView):
    """A job and how it is polled."""

    job_id: str
    vm_name: str
    state: str | None = Field(description="null only for a job that an OMA left without one")
    job_age_seconds: float | None = Field(description="null where nobody wrote when it was created")
    watched: bool = Field(description="an inferred end that evidence may still overturn")
    polled: bool = Field(description="its polling is switched on, and this process or another replica asks")


class VmaHealth(BaseModel):
    """One appliance as polling finds it: of several, one that does not answer with sense, if there is any.

    `healthy` is null until it was asked anything. Each is at /api/v1/appliances.
    """

    appliance: str
    url: str
    healthy: bool | None
    last_heard_at: datetime | None
    last_error: str | None


class Performance(BaseModel):
    """Over all polling rows. A poll that the VMA answered, with whatever, is successful."""

    total_polls: int
    successful_polls: int
    success_rate: float | None


class MonitorView(BaseModel):
    """The health monitor of this process."""

    last_cycle_at: datetime | None
    cycles: int
    drift: int = Field(description="jobs out of place at the last look")
    orphans_detected: dict[str, int] = Field(description="since the start, by kind")
    polling_restarted: int


class PollingStatus(BaseModel):
    """One page of the jobs that must be polled; `total` counts all pages."""

    active_count: int = Field(description="jobs whose polling is switched on")
    scheduled_in_this_process: int
    jobs: list[PolledJob]
    total: int
    vma: VmaHealth
    performance: Performance
    monitor: MonitorView


class Poll(BaseModel):
    """One kept answer about a job. Percent 0-100, MiB/s."""

    at: datetime
    verdict: str
    percent: float | None
    bytes_transferred: int | None
    throughput_mib_s: float | None
    error: str | None


class JobPolling(PolledJob):
    """A job's polling with its conditions and the kept polls, newest first."""

    conditions: list[ConditionView]
    history: list[Poll]


@router.get("/status", responses=documented(422, 503))
async def get_status(
    service: Service,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> PollingStatus:
    """Every job that must be polled, and how polling goes."""

    def look(connection: Connection) -> tuple[list[RowMapping], int, RowMapping]:
        rows = views.polled(connection, limit=limit, offset=offset)
        return list(rows), views.count_polled(connection), views.polling_totals(connection)

    rows, total, totals = await service.read(look)
    done, successful = int(totals["total_polls"]), int(totals["successful_polls"])
    return PollingStatus(
        active_count=totals["active"],
        scheduled_in_this_process=len(service.polling.poller.schedule),
        jobs=[PolledJob.model_validate(_polled_job(service, row)) for row in rows],
        total=total,
        vma=_vma(service),
        performance=Performance(
            total_polls=done, successful_polls=successful, success_rate=percent(successful, done)
        ),
        monitor=_monitor(service),
    )  # fmt: skip


@router.get("/jobs/{job_id}", responses=documented(404, 422, 503))
async def get_job_polling(job_id: JobId, service: Service) -> JobPolling:
    """How one job is polled, what is wrong with it, and what the VMA said."""
    row, polls, facts = await service.read(_job, job_id)
    scheduled, now = service.polling.is_polled(job_id), service.observer.now()
    found = (
        conditions(
            facts, scheduled=scheduled, now=now, policy=service.store.policy,
            paused=service.fleet.paused(facts.appliance),
        )
        if facts
        else ()
    )  # fmt: skip
    more = {
        "conditions": [ConditionView.of(c) for c in found],
        "history": [Poll.model_validate(dict(poll)) for poll in polls],
    }
    return JobPolling.model_validate(_polled_job(service, row) | more)


def _job(connection: Connection, job_id: str) -> tuple[RowMapping, list[RowMapping], JobFacts | None]:
    row = views.job_row(connection, job_id)
    loaded = load(connection, [job_id]).get(job_id)
    return row, list(views.polls(connection, job_id)), loaded.facts if loaded else None


def _polled_job(service: OmaFsm, row: RowMapping) -> dict[str, object]:
    created_at = row["created_at"] or row["entered_at"]
    age = None if created_at is None else max((service.observer.now() - created_at).total_seconds(), 0.0)
    return {
        "job_id": row["id"],
        "vm_name": row["source_vm_name"],
        "state": row["status"],
        "job_age_seconds": None if age is None else round(age, 1),
        "watched": bool(row["watched"]),
        "polled": bool(row["polling_is_active"]) and service.polling.is_polled(row["id"]),
        **polling_fields(row, scheduled=service.polling.is_polling(row["id"])),
    }


def _vma(service: OmaFsm) -> VmaHealth:
    heard, states = service.polling.poller.heard, service.fleet.states()
    asked = [state for state in states if state.name in heard and not state.paused]
    one = min(
        asked or states, key=lambda s: (s.name in heard and heard[s.name].error is None, s.name != DEFAULT_APPLIANCE)
    )
    last = heard.get(one.name)
    return VmaHealth(
        appliance=one.name,
        url=one.url,
        healthy=None if last is None else last.error is None,
        last_heard_at=last.at if last else None,
        last_error=last.error if last else None,
    )


def _monitor(service: OmaFsm) -> MonitorView:
    monitor = service.polling.monitor
    return MonitorView(
        last_cycle_at=monitor.last_cycle_at,
        cycles=monitor.cycles,
        drift=monitor.drift,
        orphans_detected={kind.value: n for kind, n in monitor.counts.items()},
        polling_restarted=monitor.restarted,
    )
