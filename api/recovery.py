"""Recovery over REST: what the last runs came to, and how to start one."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection, RowMapping

from api.deps import Service, percent, require_ready
from api.problems import RecoveryRunning, documented
from api.schemas import TriggerRequest
from db import views
from fsm.decision import Decision
from fsm.facts import Asked
from fsm.states import Asker
from poller.recovery import Run, outcome_of

# Outcomes that are no success; every other job was validated, is polled again, or ended by evidence.
_NOT_RECOVERED: Final = ("ended_by_inference", "left")
router = APIRouter(prefix="/api/v1/job-recovery", tags=["recovery"], dependencies=[Depends(require_ready)])


class FinishedRun(BaseModel):
    """A recorded run. `finished_at` is null for one that goes on."""

    run_id: int
    started_at: datetime
    finished_at: datetime | None
    asked_by: str
    actor: str | None
    jobs: int
    looked_at: int
    outcomes: dict[str, int]
    seconds_to_answer: dict[str, float] | None = Field(description="until a job's first answer: p50, p95, max")
    run_by: str | None = Field(description="the replica's id, as /api/v1/replicas lists it")
    success_rate: float | None = Field(description="jobs validated, polled again or ended by evidence / jobs looked at")

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """From a row of `db.views.runs`."""
        outcomes = row["outcomes"] or {}
        rate = percent(_recovered(outcomes), row["looked_at"])
        return cls.model_validate({**row, "run_id": row["id"], "outcomes": outcomes, "success_rate": rate})


class RunUnderWay(BaseModel):
    """The run that goes on in this process."""

    run_id: int
    jobs: int
    looked_at: int
    outcomes: dict[str, int]
    seconds_to_answer: dict[str, float] = Field(description="until a job's first answer: p50, p95, max, so far")

    @classmethod
    def of(cls, run: Run) -> Self:
        """From the run itself."""
        return cls(run_id=run.run_id, jobs=run.total, looked_at=run.looked_at, outcomes=dict(run.outcomes),
                   seconds_to_answer=run.seconds_to_answer)  # fmt: skip


class RecoveryStatus(BaseModel):
    """Recovery since the database was made. Rates are 0-100; null: nothing to divide by."""

    total_recovered: int = Field(description="jobs validated, polled again or ended by evidence, over all runs")
    success_rate: float | None = Field(description="of all jobs looked at")
    inferred_ends: int
    overturned_ends: int = Field(description="inferred ends that evidence undid")
    false_failure_rate: float | None = Field(description="overturned / inferred")
    last_recovery: FinishedRun | None
    in_recovery: RunUnderWay | None
    runs: list[FinishedRun] = Field(description="the last 20, newest first")


class Triggered(BaseModel):
    """A recovery run that was started."""

    run_id: int
    jobs: int = Field(description="jobs that are being put to the VMA")


class WouldDecide(BaseModel):
    """What a recovery would decide of one job now."""

    job_id: str
    state: str
    verdict: str = Field(description="what the VMA just said of it")
    error: str | None
    outcome: str = Field(description="moved, stayed or ignored")
    rule: str | None
    to_state: str
    ending: str | None

    @classmethod
    def of(cls, decision: Decision) -> Self:
        """From a decision that was not applied."""
        evidence, after = decision.evidence, decision.after
        return cls(
            job_id=after.job_id, state=decision.before.state, outcome=decision.outcome, rule=decision.edge,
            verdict=evidence.verdict if evidence else "", error=evidence.error if evidence else None,
            to_state=after.state, ending=after.ending,
        )  # fmt: skip


class Rehearsed(BaseModel):
    """A recovery that asked and wrote nothing. `outcomes` as of a run."""

    jobs: int
    outcomes: dict[str, int]
    items: list[WouldDecide]

    @classmethod
    def of(cls, decisions: Sequence[Decision]) -> Self:
        """Moves first: they are what one wants to know before."""
        ordered = sorted(decisions, key=lambda d: (not d.moved, d.before.job_id))
        outcomes = Counter(map(outcome_of, decisions))
        return cls(jobs=len(decisions), outcomes=dict(outcomes), items=[WouldDecide.of(d) for d in ordered])


@router.get("/status", responses=documented(503))
async def get_status(service: Service) -> RecoveryStatus:
    """What recovery did so far, and what it is doing."""
    run = service.polling.recovery.run
    status = await service.read(_recorded)
    return status.model_copy(update={"in_recovery": None if run is None else RunUnderWay.of(run)})


def _recorded(connection: Connection) -> RecoveryStatus:
    inferred, overturned = views.inference_counts(connection)
    recovered, looked_at = _totals(views.run_outcomes(connection))
    runs = [FinishedRun.of(row) for row in views.runs(connection)]
    return RecoveryStatus(
        total_recovered=recovered,
        success_rate=percent(recovered, looked_at),
        inferred_ends=inferred,
        overturned_ends=overturned,
        false_failure_rate=percent(overturned, inferred),
        last_recovery=next((run for run in runs if run.finished_at), None),
        in_recovery=None,
        runs=runs,
    )


def _recovered(outcomes: Mapping[str, int]) -> int:
    return sum(jobs for outcome, jobs in outcomes.items() if outcome not in _NOT_RECOVERED)


def _totals(rows: Iterable[RowMapping]) -> tuple[int, int]:
    recovered = looked_at = 0
    for row in rows:
        recovered += _recovered(row["outcomes"] or {})
        looked_at += row["looked_at"]
    return recovered, looked_at


_TRIGGERED: Final[dict[int | str, dict[str, Any]]] = {
    **documented(422, 503),
    200: {"model": Rehearsed},
    409: {"model": RecoveryRunning},
}


@router.post("/trigger", status_code=202, responses=_TRIGGERED)
async def trigger(
    service: Service,
    response: Response,
    body: TriggerRequest | None = None,
    dry_run: Annotated[bool, Query(description="ask, and only say what would be decided (200)")] = False,
) -> Triggered | Rehearsed:
    """Put every job that must be polled to the VMA now. 409 with the running one's id if a recovery is under way."""
    if dry_run:
        response.status_code = 200
        return Rehearsed.of(await service.rehearse_recovery(Asked(Asker.TRIGGER, body.actor if body else None)))
    run = await service.recover(Asked(Asker.TRIGGER, body.actor if body else None))
    return Triggered(run_id=run.run_id, jobs=run.total)
