"""What the commands share: settings, an engine, output, and how to give up."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console

from api.settings import PREFIX, Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

WIDTHS: Final = {"job": 30}  # columns of a table: an id is of no use cut in two
PLAIN_WIDTH = 200  # columns, where there is no terminal to ask
_LITERAL: Final[Any] = {"highlight": False, "markup": False, "emoji": False}  # "[datastore1] web" is no markup
out = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, **_LITERAL)
err = Console(stderr=True, **_LITERAL)


def fail(message: str, code: int = 2) -> NoReturn:
    """Say what is wrong and leave."""
    complain(message)
    raise typer.Exit(code)


def complain(message: str) -> None:
    """Say what is wrong."""
    err.print(f"oma-fsm: {message}", style="red", soft_wrap=True)


def load_settings(**given: object) -> Settings:
    """The settings, with what was given on the command line; names the setting that is wrong and leaves."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = "\n  ".join(f"{_variable(e['loc'])}: {said(e['msg'])}{_given(e['input'])}" for e in error.errors())
        fail(f"settings are wrong; nothing was started\n  {wrong}")
    except SettingsError as error:
        fail(f"settings are wrong; nothing was started\n  {_no_json(error)}")
    except (OSError, ValueError) as error:
        fail(f"settings cannot be read: {error}")


def _no_json(error: SettingsError) -> str:
    """pydantic names the section only; what it could not read tells the variable, and may be secret: not shown."""
    cause = error.__cause__
    read = cause.doc if isinstance(cause, JSONDecodeError) else None
    names = [name for name, value in os.environ.items() if name.upper().startswith(PREFIX) and value == read]
    return f"{' or '.join(names)}: must be JSON: {cause}" if names else str(error)


def said(message: str) -> str:
    """What pydantic says, without its own prefix."""
    return message.removeprefix("Value error, ")


def _given(value: object) -> str:
    """The wrong value, a URL without its password; not the section that a rule over several settings is about."""
    if not isinstance(value, str | int | float):
        return ""
    if isinstance(value, str) and "://" in value:
        from db.engine import redacted  # noqa: PLC0415 # slow import

        value = redacted(value)
    return f" (is {value!r})"


def _variable(location: tuple[int | str, ...]) -> str:
    return PREFIX + "__".join(str(part).upper() for part in location or ("*",))  # a rule over several of them


def engine_at(url: str, *, read_only: bool = False) -> "Engine":
    """An engine for a database; says why a URL cannot be opened, and leaves."""
    from db.engine import DatabaseUrlError, make_engine  # noqa: PLC0415 # slow import

    try:
        return make_engine(url, read_only=read_only)
    except DatabaseUrlError as error:
        fail(str(error))


@contextmanager
def database_errors(where: str) -> Iterator[None]:
    """A database that is away, or wants another release, is a message and not a traceback."""
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 # slow import

    from db.errors import StoreError  # noqa: PLC0415
    from migrations.runner import SchemaMismatch  # noqa: PLC0415

    try:
        yield
    except (SchemaMismatch, StoreError) as error:
        fail(str(error))
    except DBAPIError as error:
        fail(f"database {where} does not answer: {error.orig}")
