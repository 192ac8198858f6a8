"""oma-fsm polling: who is polled by the running service, and how that goes."""

from typing import Annotated, Any

import typer
from rich.table import Table

from cli.common import WIDTHS, out
from cli.service_client import Service, service_at
from fsm.facts import DEFAULT_APPLIANCE


def polling(
    job_id: Annotated[str | None, typer.Argument(help="One job, with the answers that were kept.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    service: Service = None,
) -> None:
    """Every job that must be polled and how that goes; or one job with its kept answers."""
    with service_at(service) as api:
        if job_id is None:
            _show_all(api.get("/vma-polling/status", limit=limit))
        else:
            _show_one(api.get(f"/vma-polling/jobs/{job_id}"))


def _show_all(status: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("job", "VM", "state", "last answer", "next", "errors", "polls", "answered"):
        table.add_column(name, overflow="fold", min_width=WIDTHS.get(name))
    for job in status["jobs"]:
        state = (job["state"] or "(none)") + (" (watched)" if job["watched"] else "")
        table.add_row(job["job_id"], job["vm_name"], state,
                      _time(job["last_poll_at"]), _time(job["next_due_at"]) if job["polled"] else "NOT POLLED",
                      str(job["consecutive_errors"]), str(job["total_polls"]), _rate(job["success_rate"]))  # fmt: skip
    if status["jobs"]:
        out.print(table)
    vma, monitor = status["vma"], status["monitor"]
    health = {None: "not asked yet", True: "answers", False: f"does not answer: {vma['last_error']}"}[vma["healthy"]]
    here, name = status["scheduled_in_this_process"], vma["appliance"]
    which = "VMA" if name == DEFAULT_APPLIANCE else f"VMA {name}"
    out.print(f"{status['total']} jobs to be polled, {here} scheduled here; {which} {health};"
              f" {monitor['polling_restarted']} put back by the monitor, drift {monitor['drift']}",
              soft_wrap=True)  # fmt: skip


def _show_one(job: dict[str, Any]) -> None:
    polled, error = "polled" if job["polled"] else "NOT POLLED", f": {job['last_error']}" if job["last_error"] else ""
    out.print(
        f"{job['job_id']} ({job['vm_name']}): {job['state']}, {polled}; {job['total_polls']} polls,"
        f" {_rate(job['success_rate'])} answered, {job['consecutive_errors']} errors in a row{error}",
        soft_wrap=True,
    )  # fmt: skip
    for condition in job["conditions"]:
        if condition["reason"]:
            out.print(f"{condition['name']}: {condition['reason']}. {condition['advice']}")
    table = Table(box=None, pad_edge=False)
    for name in ("at", "VMA said", "%", "bytes", "MiB/s", "error"):
        table.add_column(name, overflow="fold", min_width=WIDTHS.get(name))
    for poll in job["history"]:
        percent = "" if poll["percent"] is None else f"{poll['percent']:.1f}"
        rate = "" if poll["throughput_mib_s"] is None else f"{poll['throughput_mib_s']:.1f}"
        table.add_row(_time(poll["at"]), poll["verdict"], percent, str(poll["bytes_transferred"] or ""), rate,
                      poll["error"] or "")  # fmt: skip
    out.print(table)


def _time(value: str | None) -> str:
    return "never" if value is None else value[:19].replace("T", " ") + "Z"


def _rate(value: float | None) -> str:
    return "none" if value is None else f"{value:g} %"
