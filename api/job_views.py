"""A job as the API shows it. Bytes, MiB/s, seconds, percent 0-100, times in UTC."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field
from sqlalchemy import RowMapping

from api.deps import percent
from api.problems import FailedGuard
from fsm.conditions import Condition
from fsm.facts import Disk, JobFacts


class JobItem(BaseModel):
    """A job's row. Fields are named as the columns are, but for the VM's."""

    job_id: str = Field(validation_alias="id")
    vm_context_id: str | None = Field(description="null only for a job that an OMA left without one")
    vm_name: str = Field(validation_alias="source_vm_name")
    vmware_vm_id: str = Field(validation_alias="source_vm_id")
    vm_path: str = Field(validation_alias="source_vm_path")
    vcenter_host: str = Field(validation_alias="v_center_host")
    datacenter: str
    appliance: str = Field(description="the VMA that copies it")
    replication_type: str
    target_network: str | None
    status: str | None = Field(description="the state; any word or none if an OMA wrote one that is unknown here")
    ending: str | None = Field(description="how it ended: confirmed, inferred (from silence) or manual")
    version: int = Field(description="counts the transitions")
    entered_at: datetime | None = Field(description="entry into the state")
    watched: bool = Field(description="an inferred end that evidence may still overturn")
    progress_percent: float
    bytes_transferred: int
    total_bytes: int
    current_operation: str | None
    vma_sync_type: str | None
    vma_current_phase: str | None
    vma_throughput_mbps: float = Field(description="MiB/s")
    vma_eta_seconds: int | None
    vma_last_poll_at: datetime | None = Field(description="last answer of the VMA that knew the job")
    vma_error_classification: str | None
    vma_error_details: str | None
    error_message: str | None
    change_id: str | None
    previous_change_id: str | None
    nbd_export_name: str | None = Field(description="of the first disk")
    recovery_attempted: bool
    recovery_attempted_at: datetime | None
    recovery_method: str | None = Field(description="vma_validated, timeout or manual")
    vma_validated_at: datetime | None
    polling_restarted_at: datetime | None
    created_at: datetime | None = Field(description="null only for a job that an OMA left without one")
    updated_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None

    @classmethod
    def of(cls, row: RowMapping, **more: Any) -> Self:
        """From a row of `db.views`, with what a subclass has beside it."""
        return cls.model_validate({**row, **more})


class PollingView(BaseModel):
    """Who asks about a job, and what that came to. A job never polled has a blank one."""

    is_active: bool
    scheduled_in_this_process: bool
    started_polling_at: datetime | None
    last_poll_at: datetime | None = Field(description="last poll that was answered")
    next_due_at: datetime | None
    consecutive_errors: int
    last_error: str | None
    last_verdict: str | None
    total_polls: int
    successful_polls: int
    success_rate: float | None
    polled_by: str | None = Field(description="the replica whose answer was applied last")

    @classmethod
    def of(cls, row: RowMapping, *, scheduled: bool) -> "PollingView":
        """From a row of `db.views` that was joined with the polling row."""
        return PollingView(**polling_fields(row, scheduled=scheduled))


def polling_fields(row: RowMapping, *, scheduled: bool) -> dict[str, Any]:
    """The fields of a `PollingView`."""
    total, successful = row["polling_total_polls"] or 0, row["polling_successful_polls"] or 0
    return {
        "is_active": bool(row["polling_is_active"]),
        "scheduled_in_this_process": scheduled,
        "started_polling_at": row["polling_started_polling_at"],
        "last_poll_at": row["polling_last_poll_at"],
        "next_due_at": row["polling_next_due_at"],
        "consecutive_errors": row["polling_consecutive_errors"] or 0,
        "last_error": row["polling_last_error_message"],
        "last_verdict": row["polling_last_verdict"],
        "total_polls": total,
        "successful_polls": successful,
        "success_rate": percent(successful, total),
        "polled_by": row["polling_polled_by"],
    }


class DiskView(BaseModel):
    """A disk of the job with its target volume."""

    disk_id: str
    label: str | None
    vmdk_path: str | None
    datastore: str | None
    unit_number: int | None
    capacity_bytes: int | None
    sync_status: str
    sync_progress_percent: float
    bytes_synced: int
    change_id: str | None = Field(description="of the last good copy")
    volume_id: str | None
    volume_name: str | None
    device_path: str | None
    export_name: str | None = Field(description="the NBD export, the disk's own key at the VMA")
    proven: bool = Field(description="the end of its copy is proven")

    @classmethod
    def of(cls, row: RowMapping, facts: JobFacts | None) -> "DiskView":
        """From a row of `db.views.volumes_of`."""
        fields = {
            **row,
            "vmdk_path": row["vm_dk_path"],
            "change_id": row["disk_change_id"],
            "export_name": Disk(row["disk_id"], row["volume_id"]).export_name,
            "proven": facts is not None and facts.memory.disk(row["disk_id"]).proven,
        }
        return cls.model_validate(fields)


class ConditionView(BaseModel):
    """What is wrong beside the state, since when, and what to do. Good: true, but false for NeedsOperator."""

    name: str
    holds: bool
    reason: str
    since: datetime | None
    advice: str

    @classmethod
    def of(cls, condition: Condition) -> "ConditionView":
        """From the rule's own value."""
        return cls(
            name=condition.name,
            holds=condition.holds,
            reason=condition.reason,
            since=condition.since,
            advice=condition.advice,
        )


class PossibleEvent(BaseModel):
    """What an event would come to if it were fired now, with a name and a reason given."""

    event: str
    possible: bool
    asked_by: list[str] = Field(description="who may fire it now")
    needs_reason: bool = Field(description="it is refused without a reason")
    leads_to: str | None = Field(description="the state it would bring; null if refused")
    message: str
    failed_guards: list[FailedGuard]
    possible_at: datetime | None = Field(description="when time alone will make it possible")


class JobDetail(JobItem):
    """A job with everything known of it."""

    unreadable: str | None = Field(description="why the row makes no sense to this release; it is then left alone")
    disks: list[DiskView]
    polling: PollingView
    conditions: list[ConditionView]
    events: list[PossibleEvent]


class Move(BaseModel):
    """One transition: what, when, why, by which rule, and on what evidence."""

    seq: int
    event: str
    from_state: str | None
    to_state: str
    ending: str | None
    edge: str
    asked_by: str
    actor: str | None
    reason: str | None
    at: datetime
    verdicts: list[dict[str, Any]] = Field(description="what every guard said")
    facts: dict[str, Any] = Field(description="the job after the move")
    evidence: dict[str, Any] | None
    policy_hash: str
    spec_hash: str


class Refusal(BaseModel):
    """An event that did not move the job, or an answer at which it began to stay for another reason."""

    at: datetime
    last_at: datetime = Field(description="the last of `times` like ones in a row")
    times: int
    event: str
    state: str
    outcome: str = Field(description="refused, illegal, or stayed")
    edge: str | None = Field(description="the rule by which it stayed")
    asked_by: str
    actor: str | None
    reason: str | None
    message: str
    verdicts: list[dict[str, Any]] = Field(description="the guards that said no, with what they saw and want")
