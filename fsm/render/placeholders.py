"""Placeholders in other people's documents, between two comments on lines of their own:

    <!-- oma-fsm:diagram view=recovery format=mermaid -->       .. oma-fsm:diagram view=recovery format=dot
    <!-- oma-fsm:end -->                                        .. oma-fsm:end

The first way is for Markdown, the second for reStructuredText; either may stand in a docstring. A fenced block is left
alone, so that a document may show a placeholder.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.render.formats import DEFAULT, Format, UnknownFormatError, format_of
from fsm.render.model import Diagram
from fsm.render.views import UnknownViewError, view

_MARKER: Final = re.compile(r"(?P<indent>\s*)(?P<open><!--|\.\.)\s*oma-fsm:(?P<word>[\w-]+)(?P<rest>.*?)(?:-->)?\s*")
_FENCE: Final = re.compile(r"\s*(`{3,})")
_OPTIONS: Final = ("view", "format", "file")
_DIRECTIVES: Final = {"mermaid": ".. mermaid::", "dot": ".. graphviz::", "text": ".. code-block:: text"}


class PlaceholderError(ValueError):
    """A placeholder that cannot be filled; the text begins with file and line."""

    def __init__(self, name: str, line: int, why: str) -> None:
        super().__init__(f"{name}:{line}: {why}")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One placeholder. `start` and `end` are the indices of its two lines, `file` the picture it points to."""

    start: int
    end: int
    indent: str
    markdown: bool
    view: str
    format: str
    file: str | None


def fill(text: str, name: str = "text", policy: RecoveryPolicy = DEFAULT_POLICY) -> str:
    """`text` with every placeholder filled, and everything else as it was. `name` is its file's, for errors.

    PlaceholderError for an unknown view or format, and for a placeholder that is not closed.
    """
    lines = text.splitlines(keepends=True)
    for found in reversed(placeholders(text, name)):
        ending = "\r\n" if lines[found.start].endswith("\r\n") else "\n"
        block = _block(found, view(found.view, policy), name)
        lines[found.start + 1 : found.end] = [(found.indent + line).rstrip() + ending for line in block]
    return "".join(lines)


def pictures(text: str, name: str = "text", policy: RecoveryPolicy = DEFAULT_POLICY) -> dict[str, bytes]:
    """The files that the placeholders of pictures point to, by their paths from the document. PlaceholderError."""
    return {
        p.file: format_of(p.format).bytes(view(p.view, policy))
        for p in placeholders(text, name)
        if p.file is not None and format_of(p.format).picture
    }


def placeholders(text: str, name: str = "text") -> list[Placeholder]:
    """All placeholders of `text`, first to last. PlaceholderError."""
    found: list[Placeholder] = []
    opened: tuple[int, re.Match[str]] | None = None
    for index, marker in _markers(text, name):
        if marker["word"] == "diagram":
            if opened is not None:
                raise PlaceholderError(name, opened[0] + 1, f"no end before the next placeholder in line {index + 1}")
            opened = index, marker
        elif opened is None:
            raise PlaceholderError(name, index + 1, "an end without a placeholder before it")
        else:
            found.append(_placeholder(*opened, index, name))
            opened = None
    if opened is not None:
        how = "<!-- oma-fsm:end -->" if opened[1]["open"] == "<!--" else ".. oma-fsm:end"
        raise PlaceholderError(name, opened[0] + 1, f"no end: add a line `{how}` where the diagram shall end")
    return found


def _markers(text: str, name: str) -> Iterator[tuple[int, re.Match[str]]]:
    """The lines that are markers; between two markers a fence is the diagram's own."""
    fence, inside = "", False
    for index, line in enumerate(text.splitlines()):
        marker = _MARKER.fullmatch(line)
        if marker and not fence:
            if marker["word"] not in ("diagram", "end"):
                raise PlaceholderError(name, index + 1, f"oma-fsm:{marker['word']} means nothing; known: diagram, end")
            inside = marker["word"] == "diagram"
            yield index, marker
        elif not inside and (found := _FENCE.match(line)):
            fence = "" if fence and found[1].startswith(fence) else fence or found[1]


def _placeholder(start: int, marker: re.Match[str], end: int, name: str) -> Placeholder:
    options: dict[str, str] = {}
    for word in marker["rest"].split():
        key, equals, value = word.partition("=")
        if key not in _OPTIONS or not equals or not value:
            raise PlaceholderError(name, start + 1, f"{word!r}: expected view=…, format=… or file=…")
        options[key] = value
    if "view" not in options:
        raise PlaceholderError(name, start + 1, "which view? Add e.g. view=recovery")
    form = options.get("format", DEFAULT)
    try:
        view(options["view"])
        picture = format_of(form).picture
    except (UnknownViewError, UnknownFormatError) as error:
        raise PlaceholderError(name, start + 1, str(error)) from None
    if picture != ("file" in options):
        raise PlaceholderError(name, start + 1, f"format={form} {'needs' if picture else 'has no'} file=…")
    markdown = marker["open"] == "<!--"
    return Placeholder(start, end, marker["indent"], markdown, options["view"], form, options.get("file"))


# --- what stands between the two lines ---------------------------------------------------------------


def _block(found: Placeholder, diagram: Diagram, name: str) -> list[str]:
    form = format_of(found.format)
    block = _markdown(found, form, diagram) if found.markdown else _rest(found, form, diagram, name)
    if name.endswith(".py") and any("\\" in line or '"""' in line for line in block):
        why = f"format={found.format} of this view has backslashes, which a docstring would take for its own"
        raise PlaceholderError(name, found.start + 1, f"{why}; take mermaid or ascii")
    return block


def _markdown(found: Placeholder, form: Format, diagram: Diagram) -> list[str]:
    if found.file is not None:
        return ["", f"![{diagram.title}. {diagram.description}]({found.file})", ""]
    if form.fence is None:
        return ["", *_lines(form, diagram), ""]
    return [f"```{form.fence}", *_lines(form, diagram), "```"]


def _rest(found: Placeholder, form: Format, diagram: Diagram, name: str) -> list[str]:
    if found.file is not None:
        return ["", f".. image:: {found.file}", f"   :alt: {diagram.title}. {diagram.description}", ""]
    if form.fence is None:
        why = f"format={found.format} is Markdown and cannot stand in reStructuredText"
        raise PlaceholderError(name, found.start + 1, why)
    return ["", _DIRECTIVES[form.fence], "", *(f"   {line}" for line in _lines(form, diagram)), ""]


def _lines(form: Format, diagram: Diagram) -> list[str]:
    return form.bytes(diagram).decode().splitlines()
