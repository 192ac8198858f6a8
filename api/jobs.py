"""Jobs over REST: the workflow creates them and brings them forward, operators look and decide."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection, RowMapping

from api.deps import Service, require_ready
from api.fields import ContextId, DiskId, EventKey, JobId, Label, PublicEvent
from api.job_views import ConditionView, DiskView, JobDetail, JobItem, Move, PollingView, Refusal
from api.possible import possible_events
from api.problems import FailedGuard, documented, failed_guards
from api.schemas import EventRequest, JobRequest, VolumeRequest
from db import refusals, views
from db.load import load
from fsm.conditions import conditions
from fsm.decision import Decision
from fsm.facts import Disk, JobFacts
from fsm.states import Event, State

router = APIRouter(prefix="/api/v1", tags=["jobs"], dependencies=[Depends(require_ready)])
UNREADABLE = "the row makes no sense to this release (the log says why); the job is left alone until it is mended"


class Decided(BaseModel):
    """What became of an event."""

    job_id: str
    event: str
    outcome: str = Field(description="moved, stayed; of a dry run also refused, illegal")
    from_state: str | None
    status: str = Field(description="the state afterwards")
    ending: str | None
    version: int
    edge: str | None = Field(description="the rule that was used")
    effects: list[str]
    message: str
    failed_guards: list[FailedGuard]
    possible_at: datetime | None
    dry_run: bool

    @classmethod
    def of(cls, decision: Decision, *, dry_run: bool = False) -> "Decided":
        """From the machine's decision."""
        after = decision.after
        accepted = decision.outcome.accepted
        return cls(
            job_id=after.job_id,
            event=decision.event.value,
            outcome=decision.outcome.value,
            from_state=decision.source.value if decision.source else None,
            status=after.state.value,
            ending=after.ending.value if after.ending else None,
            version=after.version,
            edge=decision.edge,
            effects=[e.value for e in decision.effects],
            message=decision.says,
            failed_guards=[] if accepted else failed_guards(decision.refusals),
            possible_at=None if accepted else decision.possible_at,
            dry_run=dry_run,
        )


class JobList(BaseModel):
    """One page of jobs, newest first. `total` counts all pages."""

    items: list[JobItem]
    total: int


class History(BaseModel):
    """All transitions of a job, first to last."""

    job_id: str
    items: list[Move]


class Refusals(BaseModel):
    """Why a job did not move, newest first. The last 200 are kept."""

    job_id: str
    items: list[Refusal]


class Volume(BaseModel):
    """A volume that was tied to a disk."""

    job_id: str
    disk_id: str
    volume_id: str
    export_name: str


class Context(BaseModel):
    """The VM that jobs copy. `current_job_id` holds it."""

    context_id: str
    vm_name: str
    vmware_vm_id: str
    vm_path: str | None
    vcenter_host: str
    datacenter: str | None
    current_status: str
    current_job_id: str | None
    last_successful_job_id: str | None
    total_jobs_run: int
    successful_jobs: int
    failed_jobs: int
    created_at: datetime | None
    updated_at: datetime | None
    first_job_at: datetime | None
    last_job_at: datetime | None
    last_status_change: datetime | None


@router.post("/replications", status_code=201, responses=documented(409, 422, 503))
async def create_job(body: JobRequest, service: Service, response: Response) -> Decided:
    """Create a job of a VM. Refused while the VM has an unfinished job.

    If the VM's last end was only inferred and is still under watch, the VMA is asked about it first:
    if that copy runs it is reopened and this job is refused; if the VMA is unreachable, refused too.
    """
    decision = await service.create_job(body.job(), body.asked())
    response.headers["location"] = f"/api/v1/replications/{decision.after.job_id}"
    return Decided.of(decision)


@router.get("/replications", responses=documented(422, 503))
async def list_jobs(
    service: Service,
    status: Annotated[list[State] | None, Query(description="only these states; may be repeated")] = None,
    vm_name: Annotated[Label | None, Query(description="only this VM's")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> JobList:
    """Jobs, newest first."""
    states = tuple(status or ())

    def page(connection: Connection) -> JobList:
        rows = views.list_jobs(connection, states=states, vm_name=vm_name, limit=limit, offset=offset)
        total = views.count_jobs(connection, states=states, vm_name=vm_name)
        return JobList(items=[JobItem.of(row) for row in rows], total=total)

    return await service.read(page)


@router.get("/replications/{job_id}", responses=documented(404, 422, 503))
async def get_job(job_id: JobId, service: Service) -> JobDetail:
    """A job with its disks, its polling, its conditions, and what can be done with it now."""
    row, disks, facts = await service.read(_job, job_id)
    now, policy = service.observer.now(), service.store.policy
    polled = service.polling.is_polled(job_id)
    found = (
        conditions(facts, scheduled=polled, now=now, policy=policy, paused=service.fleet.paused(facts.appliance))
        if facts
        else ()
    )
    return JobDetail.of(
        row,
        unreadable=None if facts else UNREADABLE,
        disks=[DiskView.of(disk, facts) for disk in disks],
        polling=PollingView.of(row, scheduled=service.polling.is_polling(job_id)),
        conditions=[ConditionView.of(c) for c in found],
        events=list(possible_events(facts, now, policy)) if facts else [],
    )


def _job(connection: Connection, job_id: str) -> tuple[RowMapping, list[RowMapping], JobFacts | None]:
    """Row, disks and facts of one moment; no facts for a row that cannot be read."""
    row = views.job_row(connection, job_id)
    loaded = load(connection, [job_id]).get(job_id)
    return row, [row._mapping for row in views.volumes_of(connection, job_id)], loaded.facts if loaded else None


@router.get("/replications/{job_id}/history", responses=documented(404, 422, 503))
async def get_history(job_id: JobId, service: Service) -> History:
    """Every transition of a job, with the rule, the guards' verdicts and the evidence behind it."""

    def moves(connection: Connection) -> list[dict[str, Any]]:
        views.job_row(connection, job_id)
        return [dict(row) for row in views.history(connection, job_id)]

    return History(job_id=job_id, items=[Move.model_validate(row) for row in await service.read(moves)])


@router.get("/replications/{job_id}/refusals", responses=documented(404, 422, 503))
async def get_refusals(job_id: JobId, service: Service) -> Refusals:
    """Why the job did not move: refused events, and answers at which it stayed for a new reason; newest first."""

    def found(connection: Connection) -> list[dict[str, Any]]:
        views.job_row(connection, job_id)
        return refusals.of_job(connection, job_id)

    return Refusals(job_id=job_id, items=[Refusal.model_validate(row) for row in await service.read(found)])


@router.put("/replications/{job_id}/disks/{disk_id}/volume", responses=documented(404, 409, 422, 503))
async def put_volume(job_id: JobId, disk_id: DiskId, body: VolumeRequest, service: Service) -> Volume:
    """Tie a target volume to a disk. Its export key is asked about at once, so that an old entry is known as such."""
    await service.record_volume(job_id, disk_id, body.volume())
    export_name = Disk(disk_id, body.volume_id).export_name or ""
    return Volume(job_id=job_id, disk_id=disk_id, volume_id=body.volume_id, export_name=export_name)


@router.post("/replications/{job_id}/events/{event}", responses=documented(404, 409, 422, 503))
async def fire_event(
    job_id: JobId,
    event: PublicEvent,
    service: Service,
    body: EventRequest | None = None,
    idempotency_key: Annotated[EventKey | None, Header(description="decided once, then answered likewise")] = None,
    dry_run: Annotated[bool, Query(description="only say what would be decided")] = False,
) -> Decided:
    """Fire an event. A refusal (409) names every guard that failed; a dry run answers 200 with the same.

    `attach`, `configure`, `ready` and `start` are the workflow's and may be repeated. `fail` needs a reason;
    `complete` and `reopen` are an operator's and need `asked_by: operator`, `actor` and `reason`. With an
    `Idempotency-Key` a repeated request has no second effect and gets the first one's answer.
    """
    asked = (body or EventRequest()).asked()
    if dry_run:
        return Decided.of(await service.dry_run(job_id, Event(event), asked), dry_run=True)
    return Decided.of((await service.fire(job_id, Event(event), asked, idempotency_key)).decision)


@router.get("/contexts/{context_id}", responses=documented(404, 422, 503))
async def get_context(context_id: ContextId, service: Service) -> Context:
    """A VM: what may be done with its copy, and the counts of its jobs."""
    return Context.model_validate(dict(await service.read(views.context_row, context_id)))
