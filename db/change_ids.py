"""The two calls that a copy process makes; the second writes the only durable proof that a disk's copy ended."""

from datetime import datetime

from msgspec.structs import replace
from sqlalchemy import Connection, insert, select, update

from db.apply import disk_values
from db.errors import NotFoundError
from db.load import load_one
from db.recall import touch
from db.tables import CBT, CONTEXTS, DISKS, JOBS


def last_change_id(connection: Connection, vm_path: str, disk_id: str) -> str:
    """The ChangeID of a disk's last good copy; empty for a disk never copied. NotFoundError for an unknown VM."""
    known = select(CONTEXTS.c.context_id).where(CONTEXTS.c.vm_path == vm_path)
    context_id = connection.scalar(known.order_by(CONTEXTS.c.last_job_at.desc()).limit(1))
    if context_id is None:
        raise NotFoundError("VM with path", vm_path)
    same = (DISKS.c.vm_context_id == context_id) & (DISKS.c.disk_id == disk_id)
    return connection.scalar(select(DISKS.c.disk_change_id).where(same)) or ""


def record_change_id(
    connection: Connection, job_id: str, disk_id: str, change_id: str, previous: str | None, now: datetime
) -> bool:
    """Write the proof of one disk's copy. False if it was there already. NotFoundError for an unknown job or disk."""
    loaded = load_one(connection, job_id, lock=True)
    context_id = loaded.vm_context_id
    of_disk = (DISKS.c.vm_context_id == context_id) & (DISKS.c.disk_id == disk_id)
    if connection.scalar(select(DISKS.c.id).where(of_disk)) is None:
        raise NotFoundError(f"disk of job {job_id}", disk_id)
    same = (CBT.c.job_id == job_id) & (CBT.c.disk_id == disk_id) & (CBT.c.change_id == change_id)
    if connection.scalar(select(CBT.c.id).where(same, CBT.c.sync_success.is_(True))) is not None:
        return False
    facts = replace(loaded.facts, memory=loaded.facts.memory.prove(disk_id))
    proof = {
        "vm_context_id": context_id,
        "job_id": job_id,
        "disk_id": disk_id,
        "change_id": change_id,
        "previous_change_id": previous,
        "sync_type": "incremental" if previous else "full",
        "bytes_transferred": facts.memory.disk(disk_id).bytes_transferred or 0,
        "sync_success": True,
        "created_at": now,
    }
    connection.execute(insert(CBT).values(proof))
    # A disk that a newer job has taken over is that job's to report on.
    copied = disk_values(facts, disk_id, now) if disk_id in [d.disk_id for d in facts.disks] else {}
    connection.execute(update(DISKS).where(of_disk).values(copied | {"disk_change_id": change_id, "updated_at": now}))
    marks = {"change_id": change_id, "previous_change_id": previous, "updated_at": now}
    connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(marks))
    touch(connection, [job_id])
    return True
