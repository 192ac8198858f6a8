"""The tables that an OMA has: made where they are missing, taken over where they are there."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from db.types import MARIADB, BigInt, UTCDateTime, UTCTimestamp, decimal
from migrations import steps
from migrations.errors import AdoptedError, NotAnOmaError

revision = "20251003000000"
down_revision = None

CONTEXTS = "vm_replication_contexts"
JOBS = "replication_jobs"
DISKS = "vm_disks"
VOLUMES = "ossea_volumes"
CBT = "cbt_history"
MILLIS = UTCDateTime(fsp=3)
WORD = sa.String(191)
LAST_JOBS = ("current_job_id", "last_successful_job_id")
STATUSES = (
    "discovered",
    "replicating",
    "ready_for_failover",
    "failed_over_test",
    "failed_over_live",
    "completed",
    "failed",
    "cleanup_required",
)


def upgrade() -> None:
    """NotAnOmaError, before anything is made, if a table is there without the columns of the OMA's."""
    for table, absent in missing(sa.inspect(op.get_bind())).items():
        raise NotAnOmaError(table, absent)
    for table, items in (_tables() | {CONTEXTS: (*_contexts(), *_last_jobs())}).items():
        steps.create_table(table, *items)
    _last_job_keys()
    steps.create_index(JOBS, "status", "nbd_export_name", prefix={"nbd_export_name": 50})
    steps.create_index(JOBS, "status", "updated_at")
    steps.create_index(JOBS, "status", "completed_at")


def downgrade() -> None:
    """AdoptedError if the tables were an OMA's."""
    # An OMA names its keys by another convention than ours.
    if steps.has_table(JOBS) and not steps.has_own_foreign_key(JOBS, "vm_context_id"):
        raise AdoptedError
    steps.drop_tables(CBT, VOLUMES, DISKS)
    if not _on_sqlite():
        for column in LAST_JOBS:
            steps.drop_foreign_key(CONTEXTS, column)
    steps.drop_tables(JOBS, CONTEXTS)


def missing(there: sa.Inspector) -> dict[str, list[str]]:
    """Columns of the OMA's that tables of these names lack."""
    lacking = {
        table: _names(items) - _present(there, table) for table, items in _tables().items() if there.has_table(table)
    }
    return {table: sorted(names) for table, names in lacking.items() if names}


def _tables() -> dict[str, Sequence[sa.schema.SchemaItem]]:
    return {CONTEXTS: _contexts(), JOBS: _jobs(), DISKS: _disks(), VOLUMES: _volumes(), CBT: _cbt()}


def _names(items: Sequence[sa.schema.SchemaItem]) -> set[str]:
    return {str(item.name) for item in items if isinstance(item, sa.Column)}


def _present(there: sa.Inspector, table: str) -> set[str]:
    return {column["name"] for column in there.get_columns(table)}


def _on_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _last_job_keys() -> None:
    if not _on_sqlite():
        for column in LAST_JOBS:
            steps.create_foreign_key(CONTEXTS, column, "replication_jobs.id", ondelete="SET NULL")


def _id() -> sa.Column[int]:
    return sa.Column("id", BigInt, primary_key=True, autoincrement=True)


def _context_id(*, nullable: bool = False, index: bool = True) -> sa.Column[str]:
    key = sa.ForeignKey("vm_replication_contexts.context_id", ondelete="CASCADE")
    return sa.Column("vm_context_id", sa.String(64), key, nullable=nullable, index=index)


def _job_id(*, nullable: bool) -> sa.Column[str]:
    key = sa.ForeignKey("replication_jobs.id", ondelete="CASCADE")
    return sa.Column("job_id", sa.String(191), key, nullable=nullable, index=True)


def _last_jobs() -> list[sa.ForeignKeyConstraint]:
    # SQLite takes a key to a table that is not there yet, and none afterwards; the others the other way round.
    keys = [sa.ForeignKeyConstraint([column], ["replication_jobs.id"], ondelete="SET NULL") for column in LAST_JOBS]
    return keys if _on_sqlite() else []


def _texts(*names: str, length: int = 0, nullable: bool = True) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.String(length) if length else sa.Text, nullable=nullable) for name in names]


def _counts(*names: str, kind: Any = BigInt) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False, server_default="0") for name in names]


def _times(*names: str, kind: Any = MILLIS, nullable: bool = True) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=nullable) for name in names]


def _status(name: str, default: str, kind: Any = WORD) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, server_default=default)


def _contexts() -> Sequence[sa.schema.SchemaItem]:
    return (
        sa.Column("context_id", sa.String(64), primary_key=True),
        *_texts("vm_name", "vmware_vm_id", length=255, nullable=False),
        *_texts("vm_path", length=500),
        *_texts("vcenter_host", length=255, nullable=False),
        *_texts("datacenter", length=255),
        _status("current_status", "discovered", sa.String(32).with_variant(mysql.ENUM(*STATUSES), *MARIADB)),
        *_texts(*LAST_JOBS, length=191),
        *_counts("total_jobs_run", "successful_jobs", "failed_jobs", kind=sa.Integer),
        *_times("created_at", "updated_at", "first_job_at", "last_job_at", "last_status_change", kind=UTCTimestamp()),
        sa.UniqueConstraint("vmware_vm_id", "vcenter_host"),
        sa.UniqueConstraint("vm_name", "vcenter_host"),
    )


def _jobs() -> Sequence[sa.schema.SchemaItem]:
    return (
        sa.Column("id", sa.String(191), primary_key=True),
        _context_id(),
        *_texts("source_vm_id", "source_vm_name", "source_vm_path", "v_center_host", "datacenter", nullable=False),
        *_texts("replication_type", nullable=False),
        *_texts("target_network"),
        _status("status", "pending"),
        *_counts("progress_percent", kind=sa.Double),
        *_texts("current_operation"),
        *_counts("bytes_transferred", "total_bytes", "transfer_speed_bps"),
        *_texts("error_message", "change_id", "previous_change_id", "snapshot_id"),
        sa.Column("nbd_port", BigInt),
        *_texts("nbd_export_name", "target_device"),
        sa.Column("ossea_config_id", BigInt),
        *_times("created_at", "updated_at", nullable=False),
        *_times("started_at", "completed_at"),
        *_texts("vma_sync_type", length=50),
        *_texts("vma_current_phase", length=100),
        *_counts("vma_throughput_mbps", kind=decimal(10, 2)),
        sa.Column("vma_eta_seconds", sa.Integer),
        *_times("vma_last_poll_at", kind=UTCTimestamp()),
        *_texts("vma_error_classification", length=50),
        *_texts("vma_error_details"),
        *_counts("setup_progress_percent", kind=decimal(5, 2)),
        *_texts("schedule_execution_id", length=64),
        *_texts("scheduled_by", length=255),
        *_texts("vm_group_id", length=64),
    )


def _disks() -> Sequence[sa.schema.SchemaItem]:
    return (
        _id(),
        _context_id(index=False),  # the unique constraint begins with it
        _job_id(nullable=True),
        *_texts("disk_id", length=191, nullable=False),
        *_texts("vm_dk_path"),
        *_counts("size_gb"),
        *_texts("datastore", "label", "provisioning_type"),
        *_counts("unit_number", "capacity_bytes"),
        sa.Column("ossea_volume_id", BigInt),
        *_texts("disk_change_id"),
        _status("sync_status", "pending"),
        *_counts("sync_progress_percent", kind=sa.Double),
        *_counts("bytes_synced"),
        *_times("created_at", "updated_at"),
        sa.UniqueConstraint("vm_context_id", "disk_id"),
    )


def _volumes() -> Sequence[sa.schema.SchemaItem]:
    return (
        _id(),
        _context_id(nullable=True),
        *_texts("volume_id", length=191, nullable=False),
        *_texts("volume_name"),
        *_counts("size_gb"),
        sa.Column("ossea_config_id", BigInt),
        *_texts("volume_type", "device_path", "mount_point"),
        _status("status", "creating"),
        *_times("created_at", "updated_at"),
        sa.UniqueConstraint("volume_id"),
    )


def _cbt() -> Sequence[sa.schema.SchemaItem]:
    return (
        _id(),
        _context_id(),
        _job_id(nullable=False),
        *_texts("disk_id", length=191, nullable=False),
        *_texts("change_id", "previous_change_id"),
        *_texts("sync_type", length=50),
        *_counts("blocks_changed", "bytes_transferred"),
        *_counts("sync_duration_seconds", kind=sa.Integer),
        sa.Column("sync_success", sa.Boolean, nullable=False, server_default=sa.false()),
        *_times("created_at"),
    )
