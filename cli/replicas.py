"""oma-fsm replicas: who serves the database, and how the jobs are shared out."""

from collections.abc import Collection
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.table import Table

from cli.common import database_errors, engine_at, load_settings, out


def replicas(
    database_url: Annotated[str | None, typer.Option("--database-url", help="Instead of the setting.")] = None,
) -> None:
    """The processes that serve the database, and those that died serving it. Only reads."""
    from db import roster  # noqa: PLC0415 # slow import
    from db.engine import read, redacted  # noqa: PLC0415
    from db.members import group_of  # noqa: PLC0415
    from migrations.runner import require_current  # noqa: PLC0415

    settings = load_settings(database_url=database_url)
    engine = engine_at(settings.database_url, read_only=True)
    with database_errors(redacted(settings.database_url)):
        require_current(engine)
        with read(engine) as connection:
            found = roster.servers(connection, _members(settings.replicas.coordination_url, group_of(connection)))
    engine.dispose()
    table = Table(
        "mode", "alive", "host", "pid", "polls", "shares", "since", "last seen", "id", box=None, pad_edge=False
    )
    for one in found:
        table.add_row(*_row(one))
    if found:
        out.print(table)
    _say_what_is_missing(found)


def _members(url: str | None, group: str | None) -> Collection[str] | None:
    """The ids of the replicas that live by the coordination server; None where that is not known."""
    if url is None or group is None:
        return None
    from poller.coordination import CoordinationUrlError, Group  # noqa: PLC0415 # slow import
    from poller.ownership import CoordinationAwayError  # noqa: PLC0415

    try:
        return set(Group(url, f"looks-{uuid4().hex}", {}).peek(group))
    except (CoordinationUrlError, CoordinationAwayError) as error:
        out.print(f"who lives is not known: {error}", style="red")
        return None


def _row(one: Any) -> tuple[str, ...]:
    alive = {True: "yes", False: "no", None: "?"}[one.alive]
    shares = "all" if one.shares is None else f"{one.shares} of {one.of_shares}"
    seen = "" if one.seen_at is None else f"{one.seen_at:%Y-%m-%d %H:%M:%S}Z"
    return (one.mode, alive, one.host, str(one.pid), "yes" if one.polls else "no", shares,
            f"{one.since:%Y-%m-%d %H:%M:%S}Z", seen, one.id or "")  # fmt: skip


def _say_what_is_missing(found: list[Any]) -> None:
    if any(one.mode == "tooz" and one.alive is None for one in found):
        out.print("whether replicas of mode tooz live is known to a replicas.mode and .coordination_url like theirs")
    if not any(one.alive is not False and one.polls for one in found):
        out.print("nobody polls: start a service that does", style="red")
