"""Diagrams as PNG, drawn from the SVG by resvg; needs the extra `png`."""

from functools import cache
from typing import Final, Literal

from fsm.render.model import Diagram
from fsm.render.svg import svg
from fsm.render.svg.theme import FONTS

SCALE: Final = 2.0  # pixels for each px of the SVG: sharp on screens and in print
_PROBE: Final = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{}</svg>'


class PngError(RuntimeError):
    """No PNG can be drawn here; the text says what to install."""


def png(diagram: Diagram, theme: Literal["light", "dark"] = "light", scale: float = SCALE) -> bytes:
    """The picture of `svg` with `scale` pixels for each px. PngError without the extra or without any font.

    The pixels depend on the fonts of the machine; only the SVG is the same everywhere.
    """
    if not _has_fonts():
        raise PngError("no font was found, so a PNG would have no text; on Debian: apt-get install fonts-dejavu-core")
    return _draw(svg(diagram, theme), scale)


@cache
def _has_fonts() -> bool:
    """resvg leaves out text for which it has no font, without a word."""
    text = f'<text y="9" font-size="12" font-family="{FONTS}">M</text>'
    return _draw(_PROBE.format(text), 1) != _draw(_PROBE.format(""), 1)


def _draw(text: str, scale: float) -> bytes:
    try:
        import resvg_py  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise PngError("PNG needs the extra `png`: pip install 'oma-fsm[png]'; SVG needs nothing") from error
    return bytes(resvg_py.svg_to_bytes(svg_string=text, zoom=scale))
