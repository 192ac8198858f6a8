"""oma-fsm diagram: pictures of the machine, of one job and of all, made from the specification and the database."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import diagram_files
from cli.common import database_errors, engine_at, fail, load_settings, out
from fsm.render.formats import DEFAULT, FORMATS, UnknownFormatError, format_by_suffix, format_of
from fsm.render.model import Diagram
from fsm.render.png import PngError
from fsm.render.views import STATE, UnknownViewError, names, view
from fsm.states import State

What = Annotated[
    list[str] | None,
    typer.Argument(help=f"A view ({', '.join(n for n in names() if not n.startswith(STATE))}, {STATE}STATE) and a file "
                        "to write it to. With --write or --check: files.", show_default=False),
]  # fmt: skip


def diagram(
    what: What = None,
    form: Annotated[
        str | None, typer.Option("--format", "-f", help=f"{', '.join(FORMATS)}; default: as the file's name says.")
    ] = None,
    state: Annotated[State | None, typer.Option(help="What surrounds this state.")] = None,
    job: Annotated[str | None, typer.Option(help="The path of this job.")] = None,
    fleet: Annotated[bool, typer.Option("--fleet", help="All jobs: how many are where, and where they fail.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Bring diagrams/ and docs, or files, up to date.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only say whether they are; leaves with 1 if not.")] = False,
    database_url: Annotated[str | None, typer.Option("--database-url", help="Instead of the setting.")] = None,
) -> None:  # fmt: skip
    """Pictures of the machine, of one job's path, and of all jobs."""
    words = list(what or ())
    chosen = [x for x in (state, job, fleet or None) if x is not None]
    if write or check:
        if chosen or form or (write and check):
            fail("--write and --check go with files only, and not with each other")
        _keep(words, check=check)
        return
    if len(chosen) > 1:
        fail("of --state, --job and --fleet only one can be shown")
    name = None if chosen else words.pop(0) if words else "machine"
    if len(words) > 1:
        fail(f"too many words: {' '.join(words)}; expected a view and a file")
    file = Path(words[0]) if words else None
    shown = _stored(job, database_url) if job or fleet else _view(name or f"{STATE}{state}")
    _deliver(shown, form, file)


def _keep(words: list[str], *, check: bool) -> None:
    files = [Path(word) for word in words]
    if not check:
        diagram_files.write(files)
    elif not diagram_files.check(files):
        raise typer.Exit(1)


def _view(name: str) -> Diagram:
    try:
        return view(name)
    except UnknownViewError as error:
        fail(str(error))


def _deliver(shown: Diagram, form: str | None, file: Path | None) -> None:
    name = form or (format_by_suffix(file.suffix) if file else None) or DEFAULT
    try:
        content = format_of(name).bytes(shown)
    except (UnknownFormatError, PngError) as error:
        fail(str(error))
    if file is not None:
        file.write_bytes(content)
        return
    try:
        out.print(content.decode(), end="", soft_wrap=True)
    except UnicodeDecodeError:
        fail(f"{name} is a picture: name a file to write it to")


def _stored(job: str | None, database_url: str | None) -> Diagram:
    from db import diagrams  # noqa: PLC0415 # slow import

    if job is None:
        return _read(database_url, diagrams.fleet_map)
    return _read(database_url, diagrams.job_path, job, datetime.now(UTC))


def _read(database_url: str | None, query: Any, *args: Any) -> Diagram:
    from db.engine import read, redacted  # noqa: PLC0415 # slow import
    from migrations.runner import require_current  # noqa: PLC0415

    url = load_settings(database_url=database_url).database_url
    engine = engine_at(url, read_only=True)
    with database_errors(redacted(url)):
        require_current(engine)
        with read(engine) as connection:
            found: Diagram = query(connection, *args)
            return found
