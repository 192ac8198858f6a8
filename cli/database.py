"""oma-fsm db: the schema of the database."""

from typing import Annotated

import typer

from cli import adopt
from cli.common import database_errors, load_settings, out

app = typer.Typer(help="Bring the database's schema up, down, or see where it is.", no_args_is_help=True)
Url = Annotated[str | None, typer.Option("--database-url", help="Instead of the setting.")]


app.command("adopt")(adopt.adopt)


@app.command("upgrade")
def upgrade_to(revision: Annotated[str, typer.Argument()] = "head", database_url: Url = None) -> None:
    """Bring the schema up to a revision (the newest if none is named)."""
    _move("upgrade", revision, database_url)


@app.command("downgrade")
def downgrade_to(revision: str, database_url: Url = None) -> None:
    """Take the schema down to a revision; `base` takes everything away."""
    _move("downgrade", revision, database_url)


@app.command("current")
def current_revision(database_url: Url = None) -> None:
    """The revision that the database is at, and the one that this release wants."""
    from db.engine import make_engine, redacted  # noqa: PLC0415 # slow import
    from migrations import runner  # noqa: PLC0415

    url = load_settings(database_url=database_url).database_url
    with database_errors(redacted(url)):
        have, want = runner.current(make_engine(url)), runner.head()
    out.print(f"database {redacted(url)} is at {have or 'nothing (empty)'}; this release wants {want}", markup=False)
    if have != want:
        raise typer.Exit(1)


def _move(direction: str, revision: str, database_url: str | None) -> None:
    from db.engine import make_engine, redacted  # noqa: PLC0415 # slow import
    from migrations import runner  # noqa: PLC0415

    url = load_settings(database_url=database_url).database_url
    engine = make_engine(url)
    with database_errors(redacted(url)):
        before = runner.current(engine)
        (runner.upgrade if direction == "upgrade" else runner.downgrade)(engine, revision)
        after = runner.current(engine)
    out.print(f"database {redacted(url)}: {before or 'empty'} -> {after or 'empty'}", markup=False)
