"""The tables that an OMA has, with our plain columns on its jobs.

Names, lengths and defaults are the OMA's. Columns with a default are never NULL in it; times may be.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Double, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.dialects import mysql
from sqlmodel import Field

from db.table import OPTIONS, Table, count, flag, job, serial, text, time
from db.types import MARIADB, BigInt, Json, OmaDateTime, UTCTimestamp, decimal

CONTEXT_STATUSES: Final = (
    "discovered",
    "replicating",
    "ready_for_failover",
    "failed_over_test",
    "failed_over_live",
    "completed",
    "failed",
    "cleanup_required",
)
ContextStatus: Final = String(32).with_variant(mysql.ENUM(*CONTEXT_STATUSES), *MARIADB)
NBD_PREFIX: Final[dict[str, Any]] = {f"{dialect}_length": {"nbd_export_name": 50} for dialect in MARIADB}


def _context(*, nullable: bool = False) -> Column[str]:
    return Column(String(64), ForeignKey("vm_replication_contexts.context_id", ondelete="CASCADE"), nullable=nullable)


def _last_job() -> Column[str]:
    # Jobs refer to contexts too: one of the two keys has to come after both tables.
    return Column(String(191), ForeignKey("replication_jobs.id", ondelete="SET NULL", use_alter=True))


def _millis(*, nullable: bool = True) -> Column[datetime]:
    return Column(OmaDateTime(), nullable=nullable)


def _stamp() -> Column[datetime]:
    return Column(UTCTimestamp())


class ReplicationContext(Table, table=True):
    """A VM under protection. `current_job_id` is the job that holds it."""

    __tablename__ = "vm_replication_contexts"
    __table_args__ = (
        UniqueConstraint("vmware_vm_id", "vcenter_host"),
        UniqueConstraint("vm_name", "vcenter_host"),
        OPTIONS,
    )

    context_id: str = Field(sa_column=Column(String(64), primary_key=True))
    vm_name: str = Field(sa_column=text(255, nullable=False))
    vmware_vm_id: str = Field(sa_column=text(255, nullable=False))
    vm_path: str | None = Field(None, sa_column=text(500))
    vcenter_host: str = Field(sa_column=text(255, nullable=False))
    datacenter: str | None = Field(None, sa_column=text(255))
    current_status: str = Field(
        "discovered", sa_column=Column(ContextStatus, nullable=False, server_default="discovered")
    )
    current_job_id: str | None = Field(None, sa_column=_last_job())
    last_successful_job_id: str | None = Field(None, sa_column=_last_job())
    total_jobs_run: int = Field(0, sa_column=count(Integer))
    successful_jobs: int = Field(0, sa_column=count(Integer))
    failed_jobs: int = Field(0, sa_column=count(Integer))
    created_at: datetime | None = Field(None, sa_column=_stamp())
    updated_at: datetime | None = Field(None, sa_column=_stamp())
    first_job_at: datetime | None = Field(None, sa_column=_stamp())
    last_job_at: datetime | None = Field(None, sa_column=_stamp())
    last_status_change: datetime | None = Field(None, sa_column=_stamp())


class ReplicationJob(Table, table=True):
    """One run of a replication. The last three groups are what this service asked for and what is its own."""

    __tablename__ = "replication_jobs"
    __table_args__ = (
        Index(None, "status", "nbd_export_name", **NBD_PREFIX),
        Index(None, "status", "updated_at"),
        Index(None, "status", "completed_at"),
        Index(None, "vm_context_id"),
        Index(None, "recovery_attempted", "status"),
        OPTIONS,
    )

    id: str = Field(sa_column=Column(String(191), primary_key=True))
    vm_context_id: str = Field(sa_column=_context())
    source_vm_id: str = Field(sa_column=text(nullable=False))
    source_vm_name: str = Field(sa_column=text(nullable=False))
    source_vm_path: str = Field(sa_column=text(nullable=False))
    v_center_host: str = Field(sa_column=text(nullable=False))
    datacenter: str = Field(sa_column=text(nullable=False))
    replication_type: str = Field(sa_column=text(nullable=False))  # initial | incremental
    target_network: str | None = Field(None, sa_column=text())
    status: str = Field("pending", sa_column=Column(String(191), nullable=False, server_default="pending"))
    progress_percent: float = Field(0.0, sa_column=count(Double))
    current_operation: str | None = Field(None, sa_column=text())
    bytes_transferred: int = Field(0, sa_column=count())
    total_bytes: int = Field(0, sa_column=count())
    transfer_speed_bps: int = Field(0, sa_column=count())
    error_message: str | None = Field(None, sa_column=text())
    change_id: str | None = Field(None, sa_column=text())
    previous_change_id: str | None = Field(None, sa_column=text())
    snapshot_id: str | None = Field(None, sa_column=text())
    nbd_port: int | None = Field(None, sa_column=Column(BigInt))
    nbd_export_name: str | None = Field(None, sa_column=text())  # of the first disk only
    target_device: str | None = Field(None, sa_column=text())
    ossea_config_id: int | None = Field(None, sa_column=Column(BigInt))
    created_at: datetime = Field(sa_column=_millis(nullable=False))
    updated_at: datetime = Field(sa_column=_millis(nullable=False))
    started_at: datetime | None = Field(None, sa_column=_millis())
    completed_at: datetime | None = Field(None, sa_column=_millis())
    vma_sync_type: str | None = Field(None, sa_column=text(50))
    vma_current_phase: str | None = Field(None, sa_column=text(100))
    vma_throughput_mbps: float = Field(0.0, sa_column=count(decimal(10, 2)))
    vma_eta_seconds: int | None = Field(None, sa_column=Column(Integer))
    vma_last_poll_at: datetime | None = Field(None, sa_column=_stamp())
    vma_error_classification: str | None = Field(None, sa_column=text(50))
    vma_error_details: str | None = Field(None, sa_column=text())
    setup_progress_percent: float = Field(0.0, sa_column=count(decimal(5, 2)))
    schedule_execution_id: str | None = Field(None, sa_column=text(64))
    scheduled_by: str | None = Field(None, sa_column=text(255))
    vm_group_id: str | None = Field(None, sa_column=text(64))

    recovery_attempted: bool = Field(False, sa_column=flag())
    recovery_attempted_at: datetime | None = Field(None, sa_column=time())
    recovery_method: str | None = Field(None, sa_column=text(50))
    vma_validated_at: datetime | None = Field(None, sa_column=time())
    polling_restarted_at: datetime | None = Field(None, sa_column=time())

    version: int = Field(1, sa_column=Column(Integer, nullable=False, server_default="1"))
    ending: str | None = Field(None, sa_column=text(16))
    entered_at: datetime | None = Field(None, sa_column=time())  # entry into the state
    watched: bool = Field(False, sa_column=flag())
    rule_memory: dict[str, Any] | None = Field(None, sa_column=Column(Json))
    appliance: str = Field("default", sa_column=Column(String(64), nullable=False, server_default="default"))
    revision: int = Field(0, sa_column=count(Integer))  # rises with each write of what a rule may know


class VmDisk(Table, table=True):
    """A disk of a VM; `job_id` is re-pointed to the newest job at each run."""

    __tablename__ = "vm_disks"
    __table_args__ = (UniqueConstraint("vm_context_id", "disk_id"), Index(None, "job_id"), OPTIONS)

    id: int | None = Field(None, sa_column=serial())
    vm_context_id: str = Field(sa_column=_context())
    job_id: str | None = Field(None, sa_column=job(nullable=True))
    disk_id: str = Field(sa_column=text(191, nullable=False))
    vm_dk_path: str | None = Field(None, sa_column=text())
    size_gb: int = Field(0, sa_column=count())
    datastore: str | None = Field(None, sa_column=text())
    label: str | None = Field(None, sa_column=text())
    provisioning_type: str | None = Field(None, sa_column=text())
    unit_number: int = Field(0, sa_column=count())
    capacity_bytes: int = Field(0, sa_column=count())
    ossea_volume_id: int | None = Field(None, sa_column=Column(BigInt))  # ossea_volumes.id, without a key
    disk_change_id: str | None = Field(None, sa_column=text())
    sync_status: str = Field("pending", sa_column=Column(String(191), nullable=False, server_default="pending"))
    sync_progress_percent: float = Field(0.0, sa_column=count(Double))
    bytes_synced: int = Field(0, sa_column=count())
    created_at: datetime | None = Field(None, sa_column=_millis())
    updated_at: datetime | None = Field(None, sa_column=_millis())


class OsseaVolume(Table, table=True):
    """A target volume. Its NBD export is named `migration-vol-{volume_id}`."""

    __tablename__ = "ossea_volumes"
    __table_args__ = (UniqueConstraint("volume_id"), Index(None, "vm_context_id"), OPTIONS)

    id: int | None = Field(None, sa_column=serial())
    vm_context_id: str | None = Field(None, sa_column=_context(nullable=True))
    volume_id: str = Field(sa_column=text(191, nullable=False))
    volume_name: str | None = Field(None, sa_column=text())
    size_gb: int = Field(0, sa_column=count())
    ossea_config_id: int | None = Field(None, sa_column=Column(BigInt))
    volume_type: str | None = Field(None, sa_column=text())
    device_path: str | None = Field(None, sa_column=text())
    mount_point: str | None = Field(None, sa_column=text())
    status: str = Field("creating", sa_column=Column(String(191), nullable=False, server_default="creating"))
    created_at: datetime | None = Field(None, sa_column=_millis())
    updated_at: datetime | None = Field(None, sa_column=_millis())


class CbtHistory(Table, table=True):
    """The end of a disk's copy. A row with `sync_success` is the only durable proof of it."""

    __tablename__ = "cbt_history"
    __table_args__ = (Index(None, "vm_context_id"), Index(None, "job_id"), OPTIONS)

    id: int | None = Field(None, sa_column=serial())
    vm_context_id: str = Field(sa_column=_context())
    job_id: str = Field(sa_column=job(nullable=False))
    disk_id: str = Field(sa_column=text(191, nullable=False))
    change_id: str | None = Field(None, sa_column=text())
    previous_change_id: str | None = Field(None, sa_column=text())
    sync_type: str | None = Field(None, sa_column=text(50))
    blocks_changed: int = Field(0, sa_column=count())
    bytes_transferred: int = Field(0, sa_column=count())
    sync_duration_seconds: int = Field(0, sa_column=count(Integer))
    sync_success: bool = Field(False, sa_column=flag())
    created_at: datetime | None = Field(None, sa_column=_millis())
