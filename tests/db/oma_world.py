"""The database of an existing OMA: every status there is, every oddity that was seen, its times local to Berlin."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from rows import column_names, make_oma_tables, put, tables
from servers import kinds
from sqlalchemy import Engine, select, text

from db.engine import read, write
from db.foreign import FOREIGN
from db.tables import HISTORY
from fsm.states import ENDED, State

ZONE: Final = ZoneInfo("Europe/Berlin")
NOW: Final = datetime(2026, 11, 24, 20, 0, 0, 125000, tzinfo=UTC)
CREATED: Final = NOW - timedelta(hours=3)
STARTED: Final = NOW - timedelta(hours=2)
ENDED_AT: Final = NOW - timedelta(hours=1)
STATUSES: Final = (*(s.value for s in State), *FOREIGN)
LONG: Final = "virtio: ünreadable " * 80  # 1500 characters and more

# What becomes of each odd job; None: left alone.
ODD: Final[dict[str, str | None]] = {
    "job-timeless": "completed",
    "job-open-end": "failed",
    "job-bare": "replicating",
    "job-older": "replicating",
    "job-newer": "replicating",
    "job-long": "failed",
    "job-paused": None,
    "job-void": None,
}


def only(*wanted: str) -> pytest.MarkDecorator:
    """A test of some kinds of database, as far as they are there."""
    return pytest.mark.parametrize("kind", [k for k in kinds() if k in wanted], indirect=True, scope="session")


def local(engine: Engine, when: datetime) -> datetime:
    """A time as the OMA writes it: naive in Berlin, but where the database keeps the zone itself."""
    return when if engine.dialect.name == "postgresql" else when.astimezone(ZONE).replace(tzinfo=None)


def make_oma(engine: Engine, collation: str = "utf8mb4_general_ci") -> None:
    """The whole database."""
    make_oma_tables(engine, collation)
    for status in STATUSES:
        job(engine, status, status)
    job(engine, "timeless", "completed", created_at=None, updated_at=None, started_at=None, completed_at=None)
    job(engine, "open-end", "failed", completed_at=None)
    job(engine, "bare", "replicating", disk=False)
    job(engine, "older", "replicating", disk=False, vm="twins", created_at=local(engine, CREATED - timedelta(days=1)))
    job(engine, "newer", "replicating", vm="twins")
    job(engine, "long", "failed", error_message=LONG)
    job(engine, "paused", "paused")
    job(engine, "void", None)
    sql(engine, "UPDATE vm_replication_contexts SET current_job_id = 'job-completed' WHERE context_id = 'completed'")
    if engine.dialect.name in ("mysql", "mariadb"):
        job(engine, "zero", "replicating")
        sql(engine, "UPDATE replication_jobs SET created_at = '0000-00-00 00:00:00' WHERE id = 'job-zero'")


def job(engine: Engine, name: str, status: str | None, *, disk: bool = True, vm: str | None = None, **more: Any) -> str:
    """One job of the OMA, with its VM, a disk and its volume; its id."""
    vm = vm or name
    if not seen(engine, "SELECT 1 FROM vm_replication_contexts WHERE context_id = :vm", vm=vm):
        host = {"vcenter_host": "vc.example", "datacenter": "dc", "vm_path": f"/dc/vm/{vm}"}
        put(engine, "vm_replication_contexts", context_id=vm, vm_name=vm, vmware_vm_id=f"vm-{vm}", **host)
    over = status in ENDED or FOREIGN.get(status or "") in ENDED
    times = {
        "created_at": local(engine, CREATED),
        "updated_at": local(engine, ENDED_AT),
        "started_at": local(engine, STARTED),
        "completed_at": local(engine, ENDED_AT) if over else None,
    }
    source = dict.fromkeys(("source_vm_id", "source_vm_name", "source_vm_path", "v_center_host", "datacenter"), vm)
    values = source | times | {"replication_type": "initial", "status": status, "vm_context_id": vm} | more
    put(engine, "replication_jobs", id=f"job-{name}", **values)
    if disk:
        put(engine, "ossea_volumes", vm_context_id=vm, volume_id=f"volume-{name}", status="attached")
        [[volume]] = seen(engine, "SELECT id FROM ossea_volumes WHERE volume_id = :v", v=f"volume-{name}")
        put(engine, "vm_disks", vm_context_id=vm, job_id=f"job-{name}", disk_id="disk-2000", size_gb=40,
            ossea_volume_id=volume)  # fmt: skip
    return f"job-{name}"


def sql(engine: Engine, statement: str, **values: Any) -> int:
    """A statement of the OMA's or of an admin; how many rows it matched."""
    with write(engine) as connection:
        return connection.execute(text(statement), values).rowcount


def seen(engine: Engine, query: str, **values: Any) -> list[Any]:
    """What a raw query gives."""
    with read(engine) as connection:
        return [tuple(row) for row in connection.execute(text(query), values)]


def statuses(engine: Engine) -> dict[str, str | None]:
    """The status of each job."""
    return dict(seen(engine, "SELECT id, status FROM replication_jobs"))


def everything(engine: Engine) -> dict[str, Any]:
    """All columns and rows of all tables."""
    names = sorted(tables(engine))
    return {name: (column_names(engine, name), seen(engine, f"SELECT * FROM {name}")) for name in names}  # noqa: S608


def births(engine: Engine) -> dict[str, Any]:
    """The first row of each job's history, of jobs that have no other."""
    with read(engine) as connection:
        found = connection.execute(select(HISTORY).order_by(HISTORY.c.id)).all()
    assert len({row.job_id for row in found}) == len(found), "one row each"
    return {row.job_id: row for row in found}
