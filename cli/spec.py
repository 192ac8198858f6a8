"""oma-fsm spec: the specification itself: is it sound, what is it, what has changed."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from cli.common import database_errors, engine_at, err, fail, load_settings, out
from cli.generated import Check, File, deliver
from fsm.checks import check as all_findings
from fsm.render.markdown import page as machine_page
from fsm.snapshot import Snapshot, SnapshotError, diff, removed_states, require_snapshot, snapshot
from fsm.spec import EDGES, Edge, spec_hash
from fsm.states import Event, State

app = typer.Typer(help="The specification: check, show, compare, document it.", no_args_is_help=True)
Url = Annotated[str | None, typer.Option("--database-url", help="Instead of the setting.")]
CURRENT = "current"


@app.command("check")
def check() -> None:
    """Every static check; leaves with 1 if the specification breaks a rule."""
    findings = all_findings()
    for finding in findings:
        _say(str(finding))
    if findings:
        raise typer.Exit(1)
    guards = {g.name for e in EDGES for g in e.guards}
    _say(f"specification {spec_hash()} is sound: {len(State)} states, {len(Event)} events, {len(EDGES)} edges, "
         f"{len(guards)} guards")  # fmt: skip


@app.command("show")
def show(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, to be kept and compared.")] = False,
) -> None:
    """All edges, one a line; or everything as JSON."""
    if as_json:
        _say(json.dumps(snapshot(), indent=2, ensure_ascii=False))
        return
    for edge in EDGES:
        _say(_line(edge))


@app.command("diff")
def difference(
    old: Annotated[str, typer.Argument(help="A JSON file, a hash that the database keeps, or `current`.")],
    new: Annotated[str, typer.Argument(help="The same.")] = CURRENT,
    database_url: Url = None,
) -> None:
    """What NEW has no more, has more and has otherwise; leaves with 1 if jobs stand in a state that NEW lacks."""
    try:
        found = diff(_resolve(old, database_url), _resolve(new, database_url))
    except SnapshotError as error:
        fail(str(error))
    for one in found:
        _say(str(one))
    changes = Counter(str(one.change) for one in found)
    _say(", ".join(f"{n} {change}" for change, n in changes.items()) or "no difference")
    if _stranded(removed_states(found), database_url):
        raise typer.Exit(1)


@app.command("page")
def page(file: File = None, check: Check = False) -> None:
    """The machine as a page of documentation."""
    deliver(machine_page(), file, check=check, command="oma-fsm spec page")


def _say(text: str) -> None:
    out.print(text, soft_wrap=True)


def _line(edge: Edge) -> str:
    sources = ", ".join(s or "(new)" for s in edge.sources)
    guards = " if " + " and ".join(g.name for g in edge.guards) if edge.guards else ""
    target = edge.target or ("stays" if edge.effects else "ignored")
    return f"{edge.event}: {sources} -> {target}{f' ({edge.ending})' if edge.ending else ''}{guards}  [{edge.name}]"


def _resolve(name: str, database_url: str | None) -> Snapshot:
    if name == CURRENT:
        return snapshot()
    path = Path(name)
    if path.is_file():
        try:
            return require_snapshot(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:  # JSON, UTF-8 and SnapshotError alike
            fail(f"{name}: {error}")
    if path.suffix or len(path.parts) > 1:
        fail(f"{name}: no such file")
    return _kept(name, database_url)


def _kept(spec_hash: str, database_url: str | None) -> Snapshot:
    from db import specs  # noqa: PLC0415 # slow import
    from db.engine import read, redacted  # noqa: PLC0415

    url = load_settings(database_url=database_url).database_url
    with database_errors(redacted(url)), read(engine_at(url, read_only=True)) as connection:
        return require_snapshot(specs.kept(connection, spec_hash))


def _stranded(states: tuple[str, ...], database_url: str | None) -> bool:
    """Say how many jobs stand in each of the states; True if any does. Without a database nothing can be said."""
    if not states:
        return False
    counts = _rows_in(states, load_settings(database_url=database_url).database_url)
    for state, count in counts.items():
        _say(f"{count} {'job stands' if count == 1 else 'jobs stand'} in {state}, which is no more")
    return any(counts.values())


def _rows_in(states: tuple[str, ...], url: str) -> dict[str, int]:
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 # slow import

    from db import specs  # noqa: PLC0415
    from db.engine import DatabaseUrlError, make_engine, read, redacted  # noqa: PLC0415

    try:
        with read(make_engine(url, read_only=True)) as connection:
            found = specs.rows_in(connection, states)
    except (DatabaseUrlError, DBAPIError):
        err.print(f"no database at hand ({redacted(url)}): how many jobs stand there is not known")
        return {}
    return {state: found.get(state, 0) for state in states}
