"""Birth of a job: the VM context, its disks, and the one-unfinished-job rule under a lock."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, CursorResult, Row, and_, func, insert, or_, select, update

from db import appliances, contexts, polling
from db.adopted import statuses_of
from db.apply import history_row
from db.codec import to_json
from db.errors import ConflictError, NotFoundError, StoreError
from db.recall import touch
from db.tables import CONTEXTS, DISKS, HISTORY, JOBS, POLLING, VOLUMES
from fsm.decision import Decision
from fsm.facts import DEFAULT_APPLIANCE, Asked, Disk, JobFacts, VmFacts
from fsm.machine import decide
from fsm.policy import RecoveryPolicy
from fsm.states import ACTIVE, INITIAL, Event, Verdict


@dataclass(frozen=True, slots=True)
class NewDisk:
    """A disk as the workflow announces it; capacity in bytes."""

    disk_id: str
    capacity_bytes: int
    label: str = ""
    vmdk_path: str = ""
    datastore: str = ""
    provisioning_type: str = ""
    unit_number: int | None = None


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as the workflow announces it. The id is made here if none is given."""

    vm_name: str
    vmware_vm_id: str
    vm_path: str
    vcenter_host: str
    datacenter: str = ""
    replication_type: str = "initial"
    target_network: str = ""
    disks: tuple[NewDisk, ...] = field(default_factory=tuple)
    job_id: str | None = None
    appliance: str = DEFAULT_APPLIANCE


def new_job_id(now: datetime) -> str:
    """An id in the OMA's own form: job-YYYYMMDD-HHMMSS.mmm-xxxxxx."""
    return f"job-{now:%Y%m%d-%H%M%S}.{now.microsecond // 1000:03d}-{secrets.token_hex(3)}"


def find_context(connection: Connection, new: NewJob, *, lock: bool = False) -> Row | None:  # type: ignore[type-arg]
    """The VM's context, by VMware id or by name, within its vCenter."""
    same_vm = or_(CONTEXTS.c.vmware_vm_id == new.vmware_vm_id, CONTEXTS.c.vm_name == new.vm_name)
    query = select(CONTEXTS).where(CONTEXTS.c.vcenter_host == new.vcenter_host, same_vm)
    rows = connection.execute(query.with_for_update() if lock else query).all()
    if len(rows) > 1:
        raise ConflictError(
            f"VM {new.vm_name} ({new.vmware_vm_id}) matches two contexts of {new.vcenter_host}: "
            + ", ".join(row.context_id for row in rows)
        )
    return rows[0] if rows else None


def vm_facts(connection: Connection, context_id: str) -> VmFacts:
    """What stands in the way of a new job of the VM."""
    of_vm = JOBS.c.vm_context_id == context_id
    ended_well = select(JOBS.c.id).where(of_vm, JOBS.c.status.in_(statuses_of(ACTIVE))).order_by(JOBS.c.id)
    watched = select(JOBS.c.id).where(of_vm, JOBS.c.watched.is_(True)).order_by(JOBS.c.created_at.desc())
    return VmFacts(connection.scalar(ended_well.limit(1)), connection.scalar(watched.limit(1)))


def create(
    connection: Connection,
    new: NewJob,
    now: datetime,
    *,
    asked: Asked,
    policy: RecoveryPolicy,
    asked_about: dict[str, Verdict],
) -> Decision:
    """Create a job if the VM is free. `asked_about`: what the VMA just said of the VM's inferred ends, by job."""
    context = find_context(connection, new, lock=True)
    vm = VmFacts() if context is None else vm_facts(connection, context.context_id)
    vm = VmFacts(vm.unfinished_job, vm.watched_job, asked_about.get(vm.watched_job or ""))
    born = _newborn(connection, new, now, _after_all_others(connection, context, now))
    decision = decide(born, Event.CREATE, None, now, asked=asked, policy=policy, vm=vm)
    if decision.moved:
        context_id = _ensure_context(connection, context, new, now)
        _end_watch(connection, context_id, now)
        _insert(connection, context_id, new, decision)
    return decision


def _after_all_others(connection: Connection, context: Row | None, now: datetime) -> datetime:  # type: ignore[type-arg]
    """Now, or just after the VM's latest job if somebody set the clock back: which job is newer is told by it."""
    if context is None:
        return now
    latest = connection.scalar(select(func.max(JOBS.c.created_at)).where(JOBS.c.vm_context_id == context.context_id))
    return now if latest is None else max(now, latest + timedelta(milliseconds=1))  # as MariaDB keeps them


def _newborn(connection: Connection, new: NewJob, now: datetime, created_at: datetime) -> JobFacts:
    appliances.require(connection, new.appliance)
    job_id = new.job_id or new_job_id(now)
    if connection.scalar(select(JOBS.c.id).where(JOBS.c.id == job_id)):
        raise ConflictError(f"a job {job_id} exists already")
    disks = tuple(Disk(d.disk_id, None, d.capacity_bytes) for d in new.disks)
    total = sum(d.capacity_bytes for d in disks)
    return JobFacts(job_id, INITIAL, created_at, now, version=0, disks=disks, total_bytes=total,
                    appliance=new.appliance)  # fmt: skip


def _ensure_context(connection: Connection, context: Row | None, new: NewJob, now: datetime) -> str:  # type: ignore[type-arg]
    named = {
        "vm_name": new.vm_name,
        "vmware_vm_id": new.vmware_vm_id,
        "vm_path": new.vm_path,
        "vcenter_host": new.vcenter_host,
        "datacenter": new.datacenter,
        "updated_at": now,
    }
    if context is not None:
        connection.execute(update(CONTEXTS).where(CONTEXTS.c.context_id == context.context_id).values(named))
        return str(context.context_id)
    context_id = f"ctx-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    connection.execute(insert(CONTEXTS).values(named | {"context_id": context_id, "created_at": now}))
    return context_id


def _end_watch(connection: Connection, context_id: str, now: datetime) -> None:
    """The inferred ends of the VM were asked about and are over: a new copy makes their keys worthless."""
    watched = and_(JOBS.c.vm_context_id == context_id, JOBS.c.watched.is_(True))
    ids = connection.scalars(select(JOBS.c.id).where(watched)).all()
    connection.execute(update(JOBS).where(watched).values(watched=False, updated_at=now, revision=JOBS.c.revision + 1))
    connection.execute(update(POLLING).where(POLLING.c.job_id.in_(ids)).values(is_active=False, next_due_at=None))


def _insert(connection: Connection, context_id: str, new: NewJob, decision: Decision) -> None:
    job, now = decision.after, decision.at
    connection.execute(insert(JOBS).values(_job_row(context_id, new, job, now)))
    for position, disk in enumerate(new.disks):
        _put_disk(connection, context_id, job.job_id, disk, position, now)
    connection.execute(insert(HISTORY).values(history_row(decision)))
    polling.start(connection, [job.job_id], now)
    contexts.follow(connection, [(context_id, decision)])


def _job_row(context_id: str, new: NewJob, job: JobFacts, now: datetime) -> dict[str, Any]:
    return {
        "id": job.job_id,
        "vm_context_id": context_id,
        "source_vm_id": new.vmware_vm_id,
        "source_vm_name": new.vm_name,
        "source_vm_path": new.vm_path,
        "v_center_host": new.vcenter_host,
        "datacenter": new.datacenter,
        "replication_type": new.replication_type,
        "target_network": new.target_network,
        "status": job.state.value,
        "version": job.version,
        "entered_at": now,
        "created_at": job.created_at,
        "updated_at": now,
        "total_bytes": job.total_bytes,
        "rule_memory": to_json(job.memory),
        "appliance": new.appliance,
    }


def _put_disk(
    connection: Connection, context_id: str, job_id: str, disk: NewDisk, position: int, now: datetime
) -> None:
    """A disk belongs to the VM; each run re-points it, and its volume stays."""
    values = {
        "job_id": job_id,
        "vm_dk_path": disk.vmdk_path,
        "size_gb": disk.capacity_bytes >> 30,
        "datastore": disk.datastore,
        "label": disk.label,
        "provisioning_type": disk.provisioning_type,
        "unit_number": position if disk.unit_number is None else disk.unit_number,
        "capacity_bytes": disk.capacity_bytes,
        "sync_status": "pending",
        "sync_progress_percent": 0.0,
        "bytes_synced": 0,
        "updated_at": now,
    }
    same = and_(DISKS.c.vm_context_id == context_id, DISKS.c.disk_id == disk.disk_id)
    if connection.execute(update(DISKS).where(same).values(values)).rowcount == 0:
        fresh = {"vm_context_id": context_id, "disk_id": disk.disk_id, "created_at": now}
        connection.execute(insert(DISKS).values(values | fresh))


@dataclass(frozen=True, slots=True)
class NewVolume:
    """The CloudStack volume that a disk is copied to."""

    volume_id: str
    volume_name: str = ""
    size_gb: int = 0
    volume_type: str = ""
    device_path: str | None = None
    status: str = "attached"


def record_volume(connection: Connection, job_id: str, disk_id: str, volume: NewVolume, now: datetime) -> None:
    """Tie a volume to a disk of a job. NotFoundError for an unknown disk, ConflictError for another VM's volume."""
    same = and_(DISKS.c.job_id == job_id, DISKS.c.disk_id == disk_id)
    disk = connection.execute(select(DISKS.c.id, DISKS.c.vm_context_id).where(same)).one_or_none()
    if disk is None:
        raise NotFoundError(f"disk of job {job_id}", disk_id)
    row_id = _put_volume(connection, disk.vm_context_id, volume, now)
    taken = select(DISKS.c.disk_id).where(DISKS.c.ossea_volume_id == row_id, DISKS.c.id != disk.id)
    if other := connection.scalar(taken):
        raise ConflictError(f"volume {volume.volume_id} is already that of disk {other}")
    connection.execute(update(DISKS).where(DISKS.c.id == disk.id).values(ossea_volume_id=row_id, updated_at=now))
    touch(connection, [job_id])
    export = f"migration-vol-{volume.volume_id}"
    first = and_(JOBS.c.id == job_id, JOBS.c.nbd_export_name.is_(None))
    connection.execute(update(JOBS).where(first).values(nbd_export_name=export))


def _put_volume(connection: Connection, context_id: str, volume: NewVolume, now: datetime) -> int:
    values = {name: getattr(volume, name) for name in NewVolume.__slots__ if name != "volume_id"} | {"updated_at": now}
    known = select(VOLUMES.c.id, VOLUMES.c.vm_context_id).where(VOLUMES.c.volume_id == volume.volume_id)
    row = connection.execute(known).one_or_none()
    if row is None:
        fresh = {"volume_id": volume.volume_id, "vm_context_id": context_id, "created_at": now}
        return serial_of(connection.execute(insert(VOLUMES).values(values | fresh)))
    if row.vm_context_id not in (None, context_id):
        raise ConflictError(f"volume {volume.volume_id} belongs to another VM ({row.vm_context_id})")
    connection.execute(update(VOLUMES).where(VOLUMES.c.id == row.id).values(values))
    return int(row.id)


def serial_of(inserted: CursorResult[Any]) -> int:
    """The key that an INSERT was given."""
    key = inserted.inserted_primary_key
    if key is None:
        raise StoreError("the database did not say which key a new row was given")
    return int(key[0])
