"""Rows as raw as an OMA writes them, at whatever revision the database is."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, Table, insert, inspect, select
from unguarded import unguarded

from db.engine import read, write
from db.models import METADATA
from migrations.comparison import VERSION_TABLE

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
OMA_TABLES = ("vm_replication_contexts", "replication_jobs", "vm_disks", "ossea_volumes", "cbt_history")

_DIALECTS = {
    "sqlite": {
        "double": "double",
        "time": "datetime",
        "serial": "integer PRIMARY KEY",
        "options": "",
        "bool": "boolean DEFAULT 0",
        "inline_keys": ", FOREIGN KEY (current_job_id) REFERENCES replication_jobs (id) ON DELETE SET NULL",
    },
    "postgresql": {
        "double": "double precision",
        "time": "timestamptz",
        "serial": "bigserial PRIMARY KEY",
        "options": "",
        "bool": "boolean DEFAULT false",
        "inline_keys": "",
    },
    "mysql": {
        "double": "double",
        "time": "datetime(3) NULL",
        "serial": "bigint AUTO_INCREMENT PRIMARY KEY",
        "options": "DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci",
        "bool": "tinyint(1) DEFAULT 0",
        "inline_keys": "",
    },
}


_DIALECTS["mariadb"] = _DIALECTS["mysql"]


def make_oma_tables(engine: Engine, collation: str = "utf8mb4_general_ci") -> None:
    """The tables as an OMA makes them itself; `collation` counts on MariaDB."""
    words = _DIALECTS[engine.dialect.name]
    words = words | {"options": words["options"].replace("utf8mb4_general_ci", collation)}
    dump = (Path(__file__).parent / "oma_schema.sql").read_text().format(**words)
    for statement in "".join(line for line in dump.splitlines(True) if not line.startswith("--")).split(";"):
        if statement.strip():
            run(engine, statement)


def run(engine: Engine, statement: str) -> None:
    """One statement in a transaction of its own."""
    with write(engine) as connection:
        connection.exec_driver_sql(statement)


def put(engine: Engine, table: str, **values: Any) -> None:
    """One row with only the columns that are named."""
    with write(engine) as connection:
        connection.execute(insert(Table(table, MetaData(), autoload_with=connection)).values(**values))


def put_vm(engine: Engine, name: str = "pgtest1", status: str = "replicating", **job: Any) -> None:
    """A VM with one job, one disk on its volume, and the proof of an earlier copy, whatever the guards say of it."""
    host = {"vcenter_host": "vcenter.example", "datacenter": "dc"}
    put(
        engine,
        "vm_replication_contexts",
        context_id=name,
        vm_name=name,
        vmware_vm_id=name,
        vm_path=f"/dc/vm/{name}",
        **host,
    )
    source = dict.fromkeys(("source_vm_id", "source_vm_name", "source_vm_path", "v_center_host", "datacenter"), name)
    times = {"created_at": NOON, "updated_at": NOON}
    job = source | times | {"replication_type": "initial", "status": status} | job
    with unguarded(engine):
        put(engine, "replication_jobs", id=f"job-{name}", vm_context_id=name, **job)
    put(engine, "ossea_volumes", vm_context_id=name, volume_id=f"volume-{name}", status="attached", **times)
    put(engine, "vm_disks", vm_context_id=name, job_id=f"job-{name}", disk_id="disk-2000", ossea_volume_id=1, **times)
    put(engine, "cbt_history", vm_context_id=name, job_id=f"job-{name}", disk_id="disk-2000", sync_success=True)


def tables(engine: Engine) -> set[str]:
    """The tables that are there, but for Alembic's own."""
    with read(engine) as connection:
        return set(inspect(connection).get_table_names()) - {VERSION_TABLE}


def oma_columns(engine: Engine) -> dict[str, set[str]]:
    """The columns that the OMA's tables have now."""
    return {table: column_names(engine, table) for table in OMA_TABLES}


def oma_rows(engine: Engine, columns: dict[str, set[str]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of the OMA's tables, in those columns."""
    return {table: rows(engine, table, *sorted(columns[table])) for table in OMA_TABLES}


def history(job_id: str, seq: int) -> dict[str, Any]:
    """A row of history with what it must have."""
    words = {"event": "start", "to_state": "replicating", "edge": "start", "asked_by": "workflow"}
    hashes = {"policy_hash": "p", "spec_hash": "s"}
    return {"job_id": job_id, "seq": seq, "at": NOON, "verdicts": [], "facts": {"job": job_id}, **words, **hashes}


def put_own_rows(engine: Engine, job_id: str = "job-pgtest1") -> None:
    """One row in each table of ours."""
    polling = {"job_id": job_id, "created_at": NOON, "updated_at": NOON, "is_active": True}
    with write(engine) as connection:
        for table, row in (
            ("vma_polling_state", polling),
            ("vma_poll_history", {"job_id": job_id, "at": NOON, "verdict": "running"}),
            ("job_history", history(job_id, 1)),
            ("recovery_runs", {"started_at": NOON, "asked_by": "startup"}),
            ("spec_versions", {"hash": "s", "snapshot": {}, "first_seen_at": NOON}),
        ):
            connection.execute(METADATA.tables[table].insert().values(**row))


def rows(engine: Engine, table: str, *names: str) -> list[dict[str, Any]]:
    """A table's rows, all columns or those named, ordered."""
    with read(engine) as connection:
        found = Table(table, MetaData(), autoload_with=connection)
        columns = [found.c[name] for name in names] or list(found.c)
        return [dict(row) for row in connection.execute(select(*columns).order_by(*found.primary_key)).mappings()]


def column_names(engine: Engine, table: str) -> set[str]:
    """The columns that a table has now."""
    with read(engine) as connection:
        return {column.name for column in Table(table, MetaData(), autoload_with=connection).c}
