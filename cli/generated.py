"""Files that are made from the specification: printed, written, or compared with what is there."""

import difflib
from pathlib import Path
from typing import Annotated

import typer

from cli.common import fail, out

File = Annotated[Path | None, typer.Argument(help="Write it here instead of printing it.")]
Check = Annotated[bool, typer.Option("--check", help="Only say whether the file is up to date.")]


def deliver(text: str, file: Path | None, *, check: bool, command: str) -> None:
    """Print `text`, write it to `file`, or leave with 1 if the file is stale; `command` is what mends it."""
    if file is None:
        if check:
            fail("name the file to check")
        out.print(text, end="", soft_wrap=True)
    elif not check:
        file.write_text(text, encoding="utf-8")
    elif lines := difference(text.encode(), file):
        say("\n".join(lines))
        say(f"{file} is stale: run `{command} {file}`")
        raise typer.Exit(1)


def difference(wanted: bytes, file: Path) -> list[str]:
    """How the file differs from what it should be, as a diff; empty if it does not."""
    present = file.read_bytes() if file.exists() else b""
    if present == wanted:
        return []
    try:
        text = wanted.decode()
    except UnicodeDecodeError:
        return [f"{file}: the picture differs"]
    found = present.decode("utf-8", "replace").splitlines()
    diff = difflib.unified_diff(found, text.splitlines(), str(file), "the specification", lineterm="")
    return list(diff) or ["only line ends or invisible characters differ"]


def say(text: str) -> None:
    """A line of output as it is."""
    out.print(text, soft_wrap=True)
