"""oma-fsm doctor: does everything that is stored agree, and mend what can be mended."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from cli.common import database_errors, engine_at, load_settings, out


def doctor(
    repair: Annotated[bool, typer.Option(help="Mend what follows from other rows: contexts and polling rows.")] = False,
    database_url: Annotated[str | None, typer.Option("--database-url", help="Instead of the setting.")] = None,
) -> None:
    """Fold every job's history, compare contexts, counters and polling rows with the jobs. Leaves with 1 if ill.

    Only reads, unless told to repair. May run beside the service.
    """
    from db.engine import redacted  # noqa: PLC0415 # slow import
    from db.store import Store  # noqa: PLC0415
    from migrations import runner  # noqa: PLC0415

    settings = load_settings(database_url=database_url)
    engine = engine_at(settings.database_url, read_only=not repair)
    with database_errors(redacted(settings.database_url)):
        runner.require_current(engine)
        store = Store(engine, settings.policy)
        mended = store.repair(datetime.now(UTC)) if repair else []
        left = store.examine()
        drift = runner.drift(engine)
    for finding in mended:
        out.print(f"mended {finding.ailment} of {finding.subject}: {finding.says}", soft_wrap=True)
    table = Table("what", "where", "is wrong", "mended by", box=None, pad_edge=False)
    for finding in left:
        table.add_row(finding.ailment, finding.subject, finding.says, "--repair" if finding.mend else "a person")
    for difference in drift:
        table.add_row("schema", "", str(difference), "oma-fsm db upgrade")
    if table.row_count:
        out.print(table)
        raise typer.Exit(1)
    out.print("everything that is stored agrees")
