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
        out.print(text, markup=False, end="", soft_wrap=True)
    elif not check:
        file.write_text(text, encoding="utf-8")
    elif lines := _stale(text, file):
        out.print("\n".join(lines), markup=False, soft_wrap=True)
        out.print(f"{file} is stale: run `{command} {file}`", markup=False, soft_wrap=True)
        raise typer.Exit(1)


def _stale(text: str, file: Path) -> list[str]:
    present = file.read_bytes() if file.exists() else b""
    if present == text.encode():
        return []
    found = present.decode("utf-8", "replace").splitlines()
    diff = difflib.unified_diff(found, text.splitlines(), str(file), "the specification", lineterm="")
    return list(diff) or ["only line ends or invisible characters differ"]
