"""What is written on an arrow or in a box: lines of text, measured."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from fsm.render.model import Arrow, Caption, Node
from fsm.render.svg.text import GLUE, Line, Run, Style, wrap
from fsm.render.svg.text import width as measured

INLINE: Final = 230  # px; from this width on the guards stand behind the event, not under it
_BETWEEN: Final = 8  # px, between the captions of one arrow


@dataclass(frozen=True, slots=True)
class Label:
    """Text in a box of `width` times `height` px. A number stands left of it, inside the width."""

    lines: tuple[tuple[float, Line], ...]  # with the top of each
    width: float = 0
    height: float = 0
    number: int | None = None

    @property
    def indent(self) -> float:
        """Where the text begins, px from the left."""
        return badge(self.number) + 7 if self.number is not None else 0


def of_arrow(arrow: Arrow, width: float) -> Label:
    """The captions of an arrow below each other, and its note."""
    room = width - Label((), number=arrow.number).indent
    *blocks, last = _captions(arrow.captions, room) or [()]
    note = wrap([Run(arrow.note or "", Style.NOTE)], room)
    return _stacked([*blocks, (*last, *note)], arrow.number)


def of_node(node: Node, width: float) -> Label:
    """The name, what is known of the state, and the events at which a job stays in it."""
    head = wrap([Run(node.label, Style.NAME)], width)
    facts = (line for text in node.lines for line in wrap([Run(text, Style.LINE)], width))
    outcomes = dict.fromkeys(caption.outcome for caption in node.inner)
    inner = (block for outcome in outcomes for block in _inner(node, outcome, width))
    return _stacked([(*head, *facts), *inner], None)


def _inner(node: Node, outcome: str, width: float) -> list[tuple[Line, ...]]:
    """The events of one outcome under its name."""
    first, *rest = _captions((c for c in node.inner if c.outcome == outcome), width)
    return [(*wrap([Run(outcome or "stays", Style.EFFECT)], width), *first), *rest]


def paragraph(texts: Iterable[tuple[str, Style]], width: float) -> Label:
    """Texts below each other."""
    return _stacked([tuple(line for text, style in texts for line in wrap([Run(text, style)], width))], None)


def _captions(captions: Iterable[Caption], width: float) -> list[tuple[Line, ...]]:
    """A block for each caption; events with the same guards and effects share one."""
    alike: dict[tuple[object, ...], Caption] = {}
    for caption in captions:
        key = caption.guards, caption.effects
        known = alike.get(key)
        alike[key] = replace(known, event=f"{known.event}, {caption.event}") if known else caption
    return [tuple(_caption(caption, width)) for caption in alike.values()]


def _caption(caption: Caption, width: float) -> Iterator[Line]:
    event = Run(caption.event, Style.EVENT)
    guards = Run(f"{GLUE}· ".join(map(_glued, caption.guards)), Style.GUARD)
    if width >= INLINE:
        yield from wrap([event, guards], width)
    else:
        yield from wrap([event], width)
        yield from wrap([guards], width)
    if caption.effects:
        effects = ", ".join(str(effect).replace("_", " ") for effect in caption.effects)
        yield from wrap([Run(f"→{GLUE}{effects}", Style.EFFECT)], width)


def _glued(text: str) -> str:
    """A limit stays on one line: `>= 30m`, `90 %`."""
    return re.sub(r"(?<=[<>=]) (?=\d)|(?<=\d) (?=%)", GLUE, text)


def _stacked(blocks: Iterable[tuple[Line, ...]], number: int | None) -> Label:
    lines: list[tuple[float, Line]] = []
    y = 0.0
    for block in filter(None, blocks):
        y += _BETWEEN if lines else 0
        for line in block:
            lines.append((y, line))
            y += line.height
    indent = Label((), number=number).indent
    height = max(y, 18.0) if number is not None else y
    return Label(tuple(lines), indent + max((line.width for _, line in lines), default=0), height, number)


def badge(number: int) -> float:
    """The width of a step's number in its pill, px."""
    return max(17.0, measured(str(number), Style.EVENT) + 7)
