"""oma-fsm jobs: what stands in the database, with or without a running service."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table

from cli.common import WIDTHS, database_errors, engine_at, load_settings, out
from fsm.states import State

app = typer.Typer(help="List jobs, or see one with its history.", no_args_is_help=True)
Url = Annotated[str | None, typer.Option("--database-url", help="Instead of the setting.")]


@app.command("list")
def list_jobs(
    state: Annotated[list[State] | None, typer.Option(help="Only jobs in this state (repeatable).")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    database_url: Url = None,
) -> None:
    """Jobs, newest first."""
    from db import views  # noqa: PLC0415 # slow import

    table = Table(box=None, pad_edge=False)
    for name in ("job", "VM", "state", "ending", "%", "last answer", "reason"):
        table.add_column(name, overflow="fold", min_width=WIDTHS.get(name))
    for row in _read(database_url, views.list_jobs, states=state or (), limit=limit):
        table.add_row(
            row["id"], row["source_vm_name"], row["status"], row["ending"] or "", f"{row['progress_percent'] or 0:.1f}",
            _time(row["vma_validated_at"]), row["error_message"] or "",
        )  # fmt: skip
    out.print(table if table.row_count else "no jobs")


@app.command("show")
def show_job(job_id: str, database_url: Url = None) -> None:
    """One job: where it stands, its disks, every decision that brought it there, and why it did not move since."""
    from db import refusals, views  # noqa: PLC0415 # slow import

    row = _read(database_url, views.job_row, job_id)
    disks = _read(database_url, views.volumes_of, job_id)
    history = _read(database_url, views.history, job_id)
    out.print(_summary(row))
    if disks:
        out.print(_disks([disk._mapping for disk in disks]))  # SQLAlchemy's documented accessor
    out.print(_history(history))
    if held := _read(database_url, refusals.of_job, job_id, limit=20):
        out.print(_refusals(held))


def _read(database_url: str | None, query: Any, *args: Any, **kwargs: Any) -> Any:
    from db.engine import read, redacted  # noqa: PLC0415 # slow import
    from migrations.runner import require_schema  # noqa: PLC0415

    url = load_settings(database_url=database_url).database_url
    engine = engine_at(url, read_only=True)
    with database_errors(redacted(url)):
        require_schema(engine)
        with read(engine) as connection:
            return query(connection, *args, **kwargs)


def _summary(row: Mapping[str, Any]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    polled = "on" if row["polling_is_active"] else "off"
    facts = {
        "job": row["id"],
        "VM": f"{row['source_vm_name']} ({row['source_vm_path']})",
        "state": (row["status"] or "(none)") + (f", {row['ending']}" if row["ending"] else ""),
        "since": _time(row["entered_at"]),
        "progress": f"{row['progress_percent'] or 0:.1f} %, {row['bytes_transferred']} of {row['total_bytes']} bytes",
        "last answer": _time(row["vma_validated_at"]),
        "polling": f"{polled}, {row['polling_total_polls'] or 0} polls, "
        f"{row['polling_consecutive_errors'] or 0} errors in a row",
        "recovery": f"{row['recovery_method'] or 'none yet'}, attempted {_time(row['recovery_attempted_at'])}",
        "error": row["error_message"] or row["polling_last_error_message"] or "",
    }
    for name, value in facts.items():
        table.add_row(name, str(value))
    return table


def _disks(rows: list[Mapping[str, Any]]) -> Table:
    table = Table(
        "disk", "volume", "%", "bytes", "status", title="disks", title_justify="left", box=None, pad_edge=False
    )
    for row in rows:
        done = f"{row['bytes_synced']} of {row['capacity_bytes'] or '?'}"
        percent = f"{row['sync_progress_percent']:.1f}"
        table.add_row(row["disk_id"], row["volume_id"] or "none yet", percent, done, row["sync_status"])
    return table


def _history(rows: list[Mapping[str, Any]]) -> Table:
    table = Table(title="history", title_justify="left", box=None, pad_edge=False)
    for name in ("no.", "at", "event", "to", "ending", "rule", "asked by", "why"):
        table.add_column(name, overflow="fold", min_width=WIDTHS.get(name))
    for row in rows:
        by = row["asked_by"] + (f" ({row['actor']})" if row["actor"] else "")
        table.add_row(
            str(row["seq"]), _time(row["at"]), row["event"], row["to_state"], row["ending"] or "", row["edge"], by,
            row["reason"] or "",
        )  # fmt: skip
    return table


def _refusals(rows: list[Mapping[str, Any]]) -> Table:
    from db import refusals  # noqa: PLC0415 # slow import

    table = Table(title="did not move", title_justify="left", box=None, pad_edge=False)
    for name in ("at", "event", "state", "times", "rule", "asked by", "because"):
        table.add_column(name, overflow="fold")
    for row in rows:
        by = row["asked_by"] + (f" ({row['actor']})" if row["actor"] else "")
        table.add_row(
            _time(row["last_at"]), row["event"], row["state"], str(row["times"]), row["edge"] or row["outcome"], by,
            refusals.because(row),
        )  # fmt: skip
    return table


def _time(value: Any) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}Z" if value else "never"
