"""The formats of a diagram, by name. A renderer is entered here and nowhere else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fsm.render.ascii import outline
from fsm.render.dot import dot
from fsm.render.mermaid import mermaid
from fsm.render.model import Diagram
from fsm.render.png import png
from fsm.render.svg import svg
from fsm.render.table import table


class UnknownFormatError(ValueError):
    """A format that there is not; the text names those that there are."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no format {name!r}; known are {', '.join(FORMATS)}")


@dataclass(frozen=True, slots=True)
class Format:
    """How a diagram becomes a file. `kept`: in diagrams/. `fence`: the language of its block in a document.

    Without a fence the text is Markdown itself; a `picture` is a file that a document points to.
    """

    render: Callable[[Diagram], str | bytes]
    suffix: str
    media_type: str
    fence: str | None = None
    kept: bool = False
    picture: bool = False

    def bytes(self, diagram: Diagram) -> bytes:
        """The whole file."""
        text = self.render(diagram)
        return text if isinstance(text, bytes) else text.encode()


FORMATS: Final[dict[str, Format]] = {
    "mermaid": Format(mermaid, ".mmd", "text/vnd.mermaid", fence="mermaid", kept=True),
    "dot": Format(dot, ".dot", "text/vnd.graphviz", fence="dot", kept=True),
    "table": Format(table, ".md", "text/markdown", kept=True),
    "svg": Format(svg, ".svg", "image/svg+xml", kept=True, picture=True),
    "png": Format(png, ".png", "image/png", picture=True),
    "ascii": Format(outline, ".txt", "text/plain", fence="text"),
}
DEFAULT: Final = "mermaid"


def format_of(name: str) -> Format:
    """The format of that name. UnknownFormatError."""
    if name not in FORMATS:
        raise UnknownFormatError(name)
    return FORMATS[name]


def format_by_suffix(suffix: str) -> str | None:
    """The name of the format whose files end so."""
    return next((name for name, form in FORMATS.items() if form.suffix == suffix), None)
