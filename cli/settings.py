"""oma-fsm settings: every setting, what it means and what it is."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.table import Table

from api.settings import CONFIG_VARIABLE, DEFAULT_FILE, PREFIX
from cli.common import load_settings, out
from fsm.guard import duration
from poller import coordination_url


def show(
    toml: Annotated[bool, typer.Option("--toml", help="Print a settings file with the present values.")] = False,
) -> None:
    """Every setting: its environment variable, its value, its meaning."""
    settings = load_settings()
    if toml:
        out.print("\n".join(_toml(settings)))
        return
    rows = [(PREFIX + "__".join(path).upper(), _written(v), meaning) for path, v, meaning in walk(settings)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("variable", min_width=max(len(name) for name, _, _ in rows))
    table.add_column("value", overflow="fold")
    table.add_column("meaning", overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)
    out.print(
        f"\nThe file {DEFAULT_FILE} in the working directory, or the one that {CONFIG_VARIABLE} names, is read too;"
    )
    out.print("`oma-fsm settings --toml` prints one. The environment wins over the file.")


def walk(model: BaseModel, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """(path, value, meaning) of every setting, the nested ones included."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from walk(value, (*path, name))
        else:
            yield (*path, name), value, field.description or ""


def _written(value: Any) -> str:
    if isinstance(value, timedelta):
        return duration(value)
    if isinstance(value, str) and "://" in value:
        return _redacted(value)
    if isinstance(value, tuple | bool):
        return json.dumps(value)
    return "" if value is None else str(value)


def _redacted(url: str) -> str:
    from db.engine import DRIVERS, redacted  # noqa: PLC0415 # slow import

    return redacted(url) if url.split(":", 1)[0].split("+", 1)[0] in DRIVERS else coordination_url.redacted(url)


def _toml(settings: BaseModel) -> Iterator[str]:
    section: tuple[str, ...] = ()
    for path, value, meaning in walk(settings):
        if path[:-1] != section:
            section = path[:-1]
            yield f"\n[{'.'.join(section)}]"
        if value is None:
            yield f"# {path[-1]} =  # {meaning}"
            continue
        literal = _written(value) if isinstance(value, (int, float, tuple)) else f'"{_written(value)}"'
        yield f"{path[-1]} = {literal}  # {meaning}"
