"""oma-fsm recover: have the running service validate every active job against the VMA, and watch it."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.common import WIDTHS, fail, out
from cli.service_client import Service, ServiceClient, service_at

LOOK_EVERY: Final = 0.2  # seconds


def recover(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Ask, and only say what would be decided.")] = False,
    service: Service = None,
) -> None:
    """Validate every active job against the VMA now; the service does so by itself at every start."""
    with service_at(service) as api:
        if dry_run:
            _show_rehearsal(api.post("/job-recovery/trigger", dry_run=True))
            return
        started = api.post("/job-recovery/trigger")
        run = _watch(api, started["run_id"], started["jobs"])
    if run["looked_at"] < run["jobs"]:
        fail(f"recovery {run['run_id']} was cut off after {run['looked_at']} of {run['jobs']} jobs: its service ended."
             " A service asks about all jobs at its start; `oma-fsm polling` shows how that goes", 1)  # fmt: skip
    seconds = run["seconds_to_answer"] or {}
    out.print(f"recovery {run['run_id']}: {run['jobs']} jobs; " + (_outcomes(run["outcomes"]) or "none to look at"))
    if seconds:
        out.print("first answers after " + ", ".join(f"{s:g} s ({name})" for name, s in seconds.items()))


def _watch(api: ServiceClient, run_id: int, jobs: int) -> dict[str, Any]:
    columns = (TextColumn("validating"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        bar = progress.add_task("", total=jobs)
        while True:
            run = run_in(api.get("/job-recovery/status"), run_id)
            if run is None:
                fail(f"nothing is known of recovery {run_id} any more; `oma-fsm polling` shows how the jobs do", 1)
            if run.get("finished_at"):
                return run
            progress.update(bar, completed=run["looked_at"])
            time.sleep(LOOK_EVERY)


def run_in(status: Mapping[str, Any], run_id: int) -> dict[str, Any] | None:
    """What a service says of a run: at first hand if it goes on there; another replica knows its record."""
    here, recorded = status["in_recovery"], status["runs"]
    return next((dict(run) for run in ([here] if here else []) + recorded if run["run_id"] == run_id), None)


def _show_rehearsal(rehearsed: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("job", "state", "VMA says", "would", "rule"):
        table.add_column(name, overflow="fold", min_width=WIDTHS.get(name))
    for item in rehearsed["items"]:
        ending = f" ({item['ending']})" if item["ending"] else ""
        would = f"become {item['to_state']}{ending}" if item["outcome"] == "moved" else "stay"
        says = item["verdict"] + (f": {item['error']}" if item["error"] else "")
        table.add_row(item["job_id"], item["state"], says, would, item["rule"] or "")
    if rehearsed["items"]:
        out.print(table)
    out.print(f"{rehearsed['jobs']} jobs asked about, nothing written; " + _outcomes(rehearsed["outcomes"]))


def _outcomes(outcomes: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
