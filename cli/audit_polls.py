"""oma-fsm audit polls: was any job silent?"""

from typing import Annotated

import typer
from rich.table import Table

from cli.common import WIDTHS, fail, load_settings, out
from fsm.guard import age_of
from fsm.policy import RecoveryPolicy
from poller.poll_check import check_files
from poller.poll_findings import Limits, Report
from poller.poll_timeline import PollLogDamagedError


def polls(
    files: Annotated[list[str], typer.Argument(help="Poll logs: of all processes that served the database.")],
    allowance: Annotated[
        float, typer.Option(min=0.0, help="How many seconds past its time a job may be asked.")
    ] = Limits().allowance,
    limit: Annotated[int, typer.Option(min=1, help="How many findings are shown.")] = 100,
) -> None:
    """Read poll logs (setting poll_log): jobs that nobody asked about in time, that were asked twice at once, or moved
    by an answer that came too late. Leaves with 1 if there are any."""
    try:
        report = check_files(files, Limits(longest=_slowest(load_settings().policy), allowance=allowance))
    except (OSError, PollLogDamagedError) as error:
        fail(str(error))
    _show(report, limit)
    raise typer.Exit(1 if report.findings else 0)


def _slowest(policy: RecoveryPolicy) -> float:
    """Seconds between two questions where everything slows them down."""
    return max(policy.watch_interval, policy.backoff_max, policy.retry_after_max).total_seconds()


def _show(report: Report, limit: int) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("at (UTC)", "wrong", "job", "what"):
        table.add_column(name, overflow="fold", min_width=WIDTHS.get(name))
    for finding in report.findings[:limit]:
        table.add_row(f"{finding.at:%Y-%m-%d %H:%M:%S}", finding.wrong, finding.job, finding.says)
    if report.findings:
        out.print(table)
    more = len(report.findings) - limit
    rest = f", {more} of them not shown (--limit)" if more > 0 else ""
    out.print(f"{len(report.findings)} findings{rest}; {_seen(report)}", soft_wrap=True)


def _seen(report: Report) -> str:
    seen = f"{report.questions} questions about {report.jobs} jobs by {report.runs} runs of the service"
    if report.since is not None and report.until is not None:
        seen += f" in {age_of(report.until - report.since)} from {report.since:%Y-%m-%d %H:%M:%S}Z on"
    left_out = f"; {report.left_out} lines of runs whose beginning is missing are left out" if report.left_out else ""
    return seen + left_out
