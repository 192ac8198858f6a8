"""oma-fsm appliances: which VMAs there are. A running service takes changes over within seconds."""

import asyncio
import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import typer
from rich.table import Table

from api.settings import VmaSettings
from cli.common import database_errors, engine_at, fail, load_settings, out
from fsm.facts import DEFAULT_APPLIANCE

app = typer.Typer(help="The VMAs that jobs belong to: add, list, test, pause, resume, remove.", no_args_is_help=True)
Url = Annotated[str | None, typer.Option("--database-url", help="Instead of the setting.")]
Name = Annotated[str, typer.Argument(help="The appliance's name.")]
File = Annotated[str | None, typer.Option(help="Path on the service's host.")]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="A name for it: letters, digits, dot, dash, underscore.")],
    url: Annotated[str, typer.Argument(help="Where its API answers, e.g. http://localhost:9082.")],
    ca_file: File = None,
    token_file: File = None,
    cert_file: File = None,
    key_file: File = None,
    database_url: Url = None,
) -> None:
    """Make an appliance known; jobs may then be created with its name. Its files must be readable here."""
    from db import appliances  # noqa: PLC0415 # slow import
    from vma.access import Access, AccessError  # noqa: PLC0415

    if not re.match(NAME, name):
        fail(f"{name!r} is no name of an appliance: letters, digits, dot, dash and underscore, 64 at most")
    access = Access(url, ca_file, token_file, cert_file, key_file)
    try:
        access.check(name, load_settings().vma.hosts)
    except AccessError as error:
        fail(str(error))
    row = appliances.Appliance(name, url, ca_file, token_file, cert_file, key_file)
    _write(database_url, partial(appliances.add, appliance=row, now=_now()))
    out.print(f"appliance {name} at {url}; `oma-fsm appliances test {name}` asks it", soft_wrap=True)


@app.command("list")
def list_appliances(database_url: Url = None) -> None:
    """All appliances, and what was learned of them."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "url", "asked", "in flight", "generation", "last heard", "files"):
        table.add_column(column, overflow="fold")
    for one in _all(database_url):
        files = ", ".join(f for f in (one.ca_file, one.token_file, one.cert_file, one.key_file) if f)
        heard = f"{one.heard_at:%Y-%m-%d %H:%M:%S}Z" if one.heard_at else ""
        table.add_row(one.name, one.url, "paused" if one.paused else "yes", str(one.in_flight or ""),
                      one.generation or "", heard, files)  # fmt: skip
    out.print(table)


@app.command("test")
def ask(name: Name = DEFAULT_APPLIANCE, database_url: Url = None) -> None:
    """Ask an appliance how it is, from here, with its own certificate and token. Leaves with 1 if it is not well."""
    from vma.access import AccessError  # noqa: PLC0415 # slow import

    found = next((a for a in _all(database_url) if a.name == name), None)
    if found is None:
        fail(f"no appliance {name!r}; `oma-fsm appliances list` shows all")
    try:
        health = asyncio.run(_health(found, load_settings().vma))
    except AccessError as error:
        fail(str(error))
    if health.error is not None:
        fail(f"appliance {name} at {found.url}: {health.error}")
    out.print(f"appliance {name} at {found.url} is healthy; it answered in {health.latency * 1000:.0f} ms")


@app.command("pause")
def pause(name: Name, database_url: Url = None) -> None:
    """Have nobody ask an appliance while it is worked on: its jobs stay as they are, and nothing is concluded."""
    waiting = _pause(database_url, name, paused=True)
    out.print(f"appliance {name} is paused; {waiting} jobs wait for `oma-fsm appliances resume {name}`")


@app.command("resume")
def resume(name: Name, database_url: Url = None) -> None:
    """Have an appliance asked again."""
    out.print(f"appliance {name} is asked again; {_pause(database_url, name, paused=False)} jobs are polled")


@app.command("remove")
def remove(name: Name, database_url: Url = None) -> None:
    """Forget an appliance. Refused while jobs that must be polled belong to it."""
    from db import appliances  # noqa: PLC0415 # slow import

    _write(database_url, partial(appliances.remove, name=name))
    out.print(f"appliance {name} is removed")


def _pause(database_url: str | None, name: str, *, paused: bool) -> int:
    from db import appliances  # noqa: PLC0415 # slow import

    _all(database_url)  # the default one must have a row
    waiting: int = _write(database_url, partial(appliances.pause, name=name, now=_now(), paused=paused))
    return waiting


async def _health(appliance: Any, vma: VmaSettings) -> Any:
    from vma.access import Access  # noqa: PLC0415 # slow import
    from vma.client import VmaClient, VmaLimits  # noqa: PLC0415

    files = (appliance.ca_file, appliance.token_file, appliance.cert_file, appliance.key_file)
    if appliance.name == DEFAULT_APPLIANCE:  # its files are in the settings
        files = (vma.ca_file, vma.token_file, vma.cert_file, vma.key_file)
    limits = VmaLimits(vma.connect_timeout, vma.read_timeout, vma.total_timeout)
    client = VmaClient(Access(appliance.url, *files), name=appliance.name, limits=limits, hosts=vma.hosts)
    try:
        return await client.health()
    finally:
        await client.aclose()


def _all(database_url: str | None) -> list[Any]:
    from db import appliances  # noqa: PLC0415 # slow import

    url = str(load_settings().vma.url)
    _write(database_url, partial(appliances.note_default, url=url, now=_now()))
    found: list[Any] = _write(database_url, appliances.all_of)
    return found


def _write(database_url: str | None, work: Callable[..., Any]) -> Any:
    from db.engine import redacted  # noqa: PLC0415 # slow import
    from db.transactions import transact  # noqa: PLC0415
    from migrations.runner import require_current  # noqa: PLC0415

    url = load_settings(database_url=database_url).database_url
    engine = engine_at(url)
    with database_errors(redacted(url)):
        require_current(engine)
        return transact(engine, work)


def _now() -> datetime:
    from vma.observer import utc_now  # noqa: PLC0415

    return utc_now()
