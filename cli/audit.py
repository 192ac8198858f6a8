"""oma-fsm audit: what the past would have come to under other numbers."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from cli.common import database_errors, engine_at, fail, load_settings, out, said
from fsm.guard import duration
from fsm.policy import RecoveryPolicy
from fsm.replay import Audit, Difference, led_to
from fsm.replay import replay as judge
from fsm.silence import Ended, not_borne
from fsm.spec import spec_hash

app = typer.Typer(help="Judge the past again: decisions, and whether every job was asked about.", no_args_is_help=True)
NOTE = (
    "A move is judged again exactly, from what history keeps. Decisions to stay are not kept: that a silence of the "
    "VMA would have ended its job is estimated from the kept polls (500 a job), the others cannot be judged."
)


@app.command("replay")
def replay(
    policy: Annotated[
        list[str], typer.Option(help="NAME=VALUE of a threshold, e.g. unreachable_after=20m (repeatable).")
    ],
    since: Annotated[str | None, typer.Option(help="ISO 8601, UTC unless it says otherwise; default: all.")] = None,
    job: Annotated[str | None, typer.Option(help="Only this job.")] = None,
    database_url: Annotated[str | None, typer.Option("--database-url", help="Instead of the setting.")] = None,
) -> None:
    """Which decisions would have come out differently under another policy, and why."""
    from db import past, views  # noqa: PLC0415 # slow import
    from db.engine import read, redacted  # noqa: PLC0415
    from migrations.runner import require_schema  # noqa: PLC0415

    settings = load_settings(database_url=database_url)
    other, start = overridden(settings.policy, policy), _time(since)
    engine = engine_at(settings.database_url, read_only=True)
    with database_errors(redacted(settings.database_url)):
        require_schema(engine)
        with read(engine) as connection:
            if job is not None:
                views.job_row(connection, job)
            audit = judge(past.moves(connection, start, job), other, spec_hash())
            silences = list(past.silences(connection, start, job))
    ended = not_borne(silences, other, settings.policy)
    _show("moves that would have come out differently", map(_difference, audit.differences))
    _show("silences that would have ended the job (estimated)", map(_ended, ended))
    _summary(audit, len(silences), len(ended))


def overridden(policy: RecoveryPolicy, given: Iterable[str]) -> RecoveryPolicy:
    """The policy with `NAME=VALUE` overrides; says what is wrong with them and leaves."""
    values: dict[str, Any] = policy.model_dump()
    for override in given:
        name, equals, value = (part.strip() for part in override.partition("="))
        if not equals or not value:
            fail(f"--policy {override}: expected NAME=VALUE, e.g. unreachable_after=20m")
        if name not in values:
            near = get_close_matches(name, values, n=1)
            fail(f"--policy {override}: no such threshold; " + (f"did you mean {near[0]}?" if near else
                 f"known are {', '.join(values)}"))  # fmt: skip
        values[name] = value
    try:
        return RecoveryPolicy(**values)
    except ValidationError as error:
        fail("\n".join(_wrong(e["loc"], e["msg"]) for e in error.errors()))


def _wrong(location: tuple[int | str, ...], what: str) -> str:
    """A rule over several thresholds has no location, and names them itself."""
    return ": ".join(("--policy", *map(str, location), said(what)))


def _time(since: str | None) -> datetime:
    from db.past import BEGINNING  # noqa: PLC0415 # slow import

    if since is None:
        return BEGINNING
    try:
        given = datetime.fromisoformat(since)
        return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # it may lie outside the calendar, in UTC
        fail(f"--since {since}: expected a date or time as in 2026-11-01 or 2026-11-01T12:00:00+00:00")


Row = tuple[str, datetime, str, str, Iterable[object]]


def _difference(found: Difference) -> Row:
    past = found.past
    return past.job_id, past.at, f"{past.event}: {past.says}", found.says, found.because


def _ended(found: Ended) -> Row:
    silence = found.silence
    became = f", then {silence.then}" if silence.then else " and stayed"
    was = f"{silence.verdict} for {_rounded(silence.lasted)}: {silence.facts.state}{became}"
    return silence.facts.job_id, silence.since, was, led_to(found.would), found.guards


def _rounded(span: timedelta) -> str:
    return duration(timedelta(seconds=round(span.total_seconds())))


def _show(title: str, rows: Iterable[Row]) -> None:
    table = Table(
        "job", "at", "was", "would be", "because", title=title, title_justify="left", box=None, pad_edge=False
    )
    for job_id, at, was, would, because in rows:
        table.add_row(job_id, f"{at:%Y-%m-%d %H:%M:%S}Z", was, would, "\n".join(map(str, because)))
    if table.row_count:
        out.print(table)
        out.print()


def _summary(audit: Audit, silences: int, ended: int) -> None:
    _say(f"{audit.judged} moves judged, {len(audit.differences)} would differ; "
         f"{silences} silences, {ended} would have ended their jobs")  # fmt: skip
    if audit.blind:
        _say(f"{audit.blind} moves cannot be judged: history did not yet keep the job as it was before")
    for spec, count in audit.strange.items():
        _say(f"{count} moves cannot be judged: they are told in words of specification {spec} that this release does "
             f"not know; `oma-fsm spec diff {spec}` says which")  # fmt: skip
    for spec, count in audit.other_rules.items():
        _say(f"{count} of the moves were decided by specification {spec}: `oma-fsm spec diff {spec}` says what differs")
    _say(NOTE)


def _say(text: str) -> None:
    out.print(text, soft_wrap=True)
