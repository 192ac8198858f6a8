"""oma-fsm db: the schema of the database."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from api.settings import LONGEST_DAYS
from cli import adopt
from cli.common import database_errors, engine_at, load_settings, out

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
    """The revision that the database is at and the one that this release wants; whether its guards are up."""
    from db.engine import redacted  # noqa: PLC0415 # slow import
    from migrations import runner  # noqa: PLC0415

    url = load_settings(database_url=database_url).database_url
    engine = engine_at(url)
    with database_errors(redacted(url)):
        have, want = runner.current(engine), runner.head()
        mode, differences = runner.guard_state(engine) if have == want else (None, [])
    out.print(f"database {redacted(url)} is at {have or 'nothing (empty)'}; this release wants {want}")
    if mode is not None:
        state = f"{'; '.join(differences)}: run `oma-fsm db upgrade`" if differences else "as this release wants them"
        out.print(f"guards ({mode}): {state}", soft_wrap=True)
    if have != want or differences:
        raise typer.Exit(1)


@app.command("lift-guards")
def lift_guards(database_url: Url = None) -> None:
    """For a change by hand that the database refuses: take its guards down until the next `db upgrade`."""
    from db.engine import redacted  # noqa: PLC0415 # slow import
    from migrations import runner  # noqa: PLC0415

    url = load_settings(database_url=database_url).database_url
    with database_errors(redacted(url)):
        lifted = runner.lift_guards(engine_at(url))
    out.print(
        f"database {redacted(url)}: guards {'are' if lifted else 'were already'} down, any change is let through."
        " No service starts on it until `oma-fsm db upgrade` has put them up again.",
        soft_wrap=True,
    )


@app.command("prune")
def prune(
    keep_days: Annotated[
        float | None, typer.Option(min=0, max=LONGEST_DAYS, help="Instead of the setting keep_polls_days.")
    ] = None,
    database_url: Url = None,
) -> None:
    """Forget how ended jobs were polled and what they were refused. Transitions are never forgotten.

    The service does the same every hour.
    """
    from db.engine import redacted  # noqa: PLC0415 # slow import
    from db.store import Store  # noqa: PLC0415
    from migrations.runner import require_current  # noqa: PLC0415

    settings = load_settings(database_url=database_url)
    keep = timedelta(days=settings.keep_polls_days if keep_days is None else keep_days)
    engine = engine_at(settings.database_url)
    with database_errors(redacted(settings.database_url)):
        require_current(engine)
        gone = Store(engine, settings.policy, keep).prune(datetime.now(UTC))
    out.print(f"database {redacted(settings.database_url)}: {gone} rows forgotten")


def _move(direction: str, revision: str, database_url: str | None) -> None:
    from db.engine import redacted  # noqa: PLC0415 # slow import
    from migrations import runner  # noqa: PLC0415

    url = load_settings(database_url=database_url).database_url
    engine = engine_at(url)
    with database_errors(redacted(url)):
        before = runner.current(engine)
        (runner.upgrade if direction == "upgrade" else runner.downgrade)(engine, revision)
        after = runner.current(engine)
    out.print(f"database {redacted(url)}: {before or 'empty'} -> {after or 'empty'}")
