"""oma-fsm db adopt: an existing OMA's database is taken over."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from cli.common import database_errors, fail, out
from fsm.states import State

if TYPE_CHECKING:
    from db.survey import Survey
    from migrations.adopt import Plan, Report


def adopt(
    url: Annotated[str, typer.Argument(help="The OMA's database, e.g. mysql://user:password@host/oma")],
    zone: Annotated[
        str, typer.Option(help="Time zone of the OMA's host, in which it writes its times; UTC if so set.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    free_contexts: Annotated[
        bool, typer.Option("--free-contexts", help="Clear what VM contexts say of jobs that are over or not there.")
    ] = False,
) -> None:
    """Take over the database of an existing OMA: add what is missing, and give every job a history.

    Nothing else is changed, but for statuses that this machine does not have; `oma-fsm db downgrade` gives those back.
    Killed half-way, it can be run again.
    """
    from db.adopted import UnknownZoneError, zone_named  # noqa: PLC0415 # slow import
    from db.engine import DatabaseUrlError, make_engine, redacted  # noqa: PLC0415
    from migrations import adopt as adoption  # noqa: PLC0415

    now, where = datetime.now(UTC), redacted(url)
    try:
        named, engine = zone_named(zone), make_engine(url, read_only=dry_run)
    except (UnknownZoneError, DatabaseUrlError) as error:
        fail(str(error))
    with database_errors(where):
        if dry_run:
            _tell_plan(where, zone, adoption.plan(engine, named, now, freeing=free_contexts))
            return
        _say(f"adopting {where}, times in {zone}; it can be interrupted and run again")
        report = adoption.adopt(engine, named, now, freeing=free_contexts, progress=_Progress())
        _tell_report(where, report)


class _Progress:
    """A line now and then: in a log, too, it must be seen that it moves."""

    def __init__(self) -> None:
        self._began = self._told = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told >= 2 or done == total:
            self._told = now
            _say(f"  {done} of {total} jobs, {now - self._began:.0f} s")


def _tell_plan(where: str, zone: str, plan: "Plan") -> None:
    _say(f"{where}: what `oma-fsm db adopt` would do. Nothing was changed.\n")
    steps = ", ".join(plan.revisions) or "none: it is up to date"
    _say(f"schema steps: {steps}")
    _say(f"jobs to be given a history: {plan.to_adopt} of {plan.found.jobs}\n")
    _statuses(plan.found)
    _tell_clock(plan.found, zone)
    _tell_oddities(plan.found)
    if plan.found.obstacles:
        _say("\nin the way; it would be refused until this is mended:")
        for obstacle in plan.found.obstacles:
            _say(f"  - {obstacle}")
        raise typer.Exit(1)
    _say("\nnothing is in the way")


def _statuses(found: "Survey") -> None:
    from db.adopted import state_of  # noqa: PLC0415 # slow import

    rows = sorted(found.statuses.items(), key=lambda item: str(item[0]))
    _table("jobs", ("status", "jobs", "becomes"), [(s or "(none)", n, _becomes(s, state_of(s))) for s, n in rows])


def _becomes(status: str | None, state: State | None) -> str:
    if state is None:
        return "left alone: unknown"
    return "the same" if state.value == status else state.value


def _tell_clock(found: "Survey", zone: str) -> None:
    clock = found.clock
    if clock.newest is None:
        return
    told, utc = clock.newest
    read = f"newest of {clock.read} times: {told:%Y-%m-%d %H:%M:%S} in {zone}, that is {utc:%Y-%m-%d %H:%M:%S}Z."
    _say(f"{read} If the OMA wrote it at another moment, the zone is wrong")
    if clock.twice:
        _say(f"{clock.twice} times fell into an hour that the clock had twice; they are taken for the first")
    if clock.never:
        _say(f"{clock.never} times fell into an hour that the clock skipped; they are read as if it had not")


def _tell_oddities(found: "Survey") -> None:
    for oddity in found.oddities:
        more = f" and {oddity.count - len(oddity.ids)} more" if oddity.count > len(oddity.ids) else ""
        _say(f"\n{oddity.count} {oddity.what}: {oddity.then}\n  {', '.join(oddity.ids)}{more}")


def _tell_report(where: str, report: "Report") -> None:
    rows = sorted(report.given.items())
    _table("\njobs that were given a history", ("status", "jobs", "is now"),
           [(s, n, _becomes(s, state)) for (s, state), n in rows])  # fmt: skip
    if report.left:
        shown = ", ".join(report.left[:20]) + (f" and {len(report.left) - 20} more" if len(report.left) > 20 else "")
        _say(f"{len(report.left)} jobs were left alone, unknown or not readable: {shown}")
    if report.freed:
        _say(f"{report.freed} pointers of VM contexts were cleared")
    if report.found.oddities:
        _say("\nwhat was out of the ordinary before:")
    _tell_oddities(report.found)
    _say(
        f"\n{where} is adopted. Next: oma-fsm serve --database-url URL; back: oma-fsm db downgrade, docs/operations.md"
    )


def _table(title: str, names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    table = Table(*names, title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(str, row))
    out.print(table if rows else f"{title}: none")


def _say(text: str) -> None:
    out.print(text, soft_wrap=True)
