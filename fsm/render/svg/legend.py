"""What the lines mean, below the picture: only those that are in it."""

from collections.abc import Iterator

from fsm.render.model import Diagram, Tone
from fsm.render.svg import shapes
from fsm.render.svg.layout import Box
from fsm.render.svg.text import Line, Run, Style

_SAMPLE, _GAP, _ROW = 30.0, 20.0, 22.0  # px: a line, between entries, between rows
_MEANINGS = {
    Tone.PLAIN: "a move of a living job",
    Tone.CONFIRMED: "confirmed end",
    Tone.INFERRED: "end inferred from silence",
    Tone.MANUAL: "a person's decision",
    Tone.REVIVED: "out of an end again",
    Tone.REFUSED: "refused, nothing moved",
}


def legend(diagram: Diagram, x: float, y: float, width: float) -> tuple[list[str], float]:
    """The entries in rows of at most `width` px, and their height."""
    parts: list[str] = []
    at, row = 0.0, 0
    for kind, text in _entries(diagram):
        line = Line((Run(text, Style.KEY),))
        needs = _SAMPLE + 8 + line.width
        if at and at + needs > width:
            at, row = 0.0, row + 1
        here = x + at, y + row * _ROW
        parts.append(
            shapes.group(
                f"key {kind}", [*_sample(kind, *here), shapes.words(line, here[0] + _SAMPLE + 8, here[1] - 7.5)]
            )
        )
        at += needs + _GAP
    return parts, (row + 1) * _ROW - 8 if parts else 0.0


def _entries(diagram: Diagram) -> Iterator[tuple[str, str]]:
    used = {arrow.tone for arrow in diagram.arrows}
    yield from ((tone.value, _MEANINGS[tone]) for tone in Tone if tone in used)
    if any(arrow.source in {g.id for g in diagram.groups} for arrow in diagram.arrows):
        yield "plain group", "from any state in the box"
    if any(node.lit for node in diagram.nodes):
        yield "lit", "the present state"
    if any(heat is not None for heat in (*(n.heat for n in diagram.nodes), *(a.heat for a in diagram.arrows))):
        yield "hot", "the redder, the more"


def _sample(kind: str, x: float, y: float) -> Iterator[str]:
    if kind == "lit":
        yield shapes.rect(Box(x + 4, y - 7, 26, 14), "box lit", rx=5.0)
    elif kind == "hot":
        for i in range(4):
            yield shapes.rect(Box(x + 2 + 7 * i, y - 6, 7, 12), "heat", fill_opacity=f"{0.1 + 0.15 * i:.2f}")
    else:
        yield from shapes.way([(x, y), (x + _SAMPLE, y)])
        if kind == "plain group":
            yield shapes.dot((x + 4, y))
