"""oma-fsm diagram: the machine's picture, made from the specification."""

import difflib
from pathlib import Path
from typing import Annotated

import typer

from cli.common import out
from fsm.render.mermaid import mermaid


def diagram(
    file: Annotated[Path | None, typer.Argument(help="Write it here instead of printing it.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only say whether the file is up to date.")] = False,
) -> None:
    """The state machine as a Mermaid diagram."""
    picture = mermaid()
    if file is None:
        out.print(picture, markup=False, end="")
        return
    if not check:
        file.write_text(picture, encoding="utf-8")
        return
    present = file.read_text(encoding="utf-8") if file.exists() else ""
    diff = difflib.unified_diff(present.splitlines(), picture.splitlines(), str(file), "the specification", lineterm="")
    lines = list(diff)
    if lines:
        out.print("\n".join(lines), markup=False)
        out.print(f"{file} is stale: run `oma-fsm diagram {file}`", markup=False)
        raise typer.Exit(1)
