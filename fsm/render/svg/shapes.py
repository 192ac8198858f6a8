"""SVG elements as text, numbers and characters made safe."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from math import hypot

from fsm.render.svg.labels import Label
from fsm.render.svg.layout import Box, Point
from fsm.render.svg.text import Line, Style, clean

_CORNER = 8.0
_HEAD = (9.0, 4.2)  # length and half the width of an arrow's head
_RISE = 0.74  # of a line's height, from its top to its base line


def number(value: float) -> str:
    """At most one decimal, no minus before nought."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def quoted(text: str) -> str:
    """Text for content and attributes."""
    return escape(clean(text), quote=True)


def attributes(**values: str | float) -> str:
    """Attributes in the order given; `_` in a name stands for `-`, a trailing one is dropped."""
    found = ((k.rstrip("_").replace("_", "-"), number(v) if isinstance(v, float) else v) for k, v in values.items())
    return "".join(f' {name}="{value}"' for name, value in found)


def rect(box: Box, css: str, *, rx: float = 0.0, inset: float = 0.0, **more: str | float) -> str:
    """A rectangle; `inset` px smaller on each side."""
    size = {"width": max(0.0, box.width - 2 * inset), "height": max(0.0, box.height - 2 * inset)}
    return f"<rect{attributes(class_=css, x=box.x + inset, y=box.y + inset, **size, rx=rx, **more)}/>"


def words(line: Line, x: float, top: float, *, middle: bool = False) -> str:
    """A line of text; `x` is its left end, or its middle."""
    y = top + line.height * _RISE
    anchor = ' text-anchor="middle"' if middle else ""
    if len(line.runs) == 1:
        run = line.runs[0]
        return f"<text{attributes(class_=run.style.css, x=x, y=y)}{anchor}>{quoted(run.text)}</text>"
    spans = " ".join(f'<tspan class="{run.style.css}">{quoted(run.text)}</tspan>' for run in line.runs)
    return f"<text{attributes(class_=Style.GUARD.css, x=x, y=y)}{anchor}>{spans}</text>"


def block(label: Label, box: Box, *, middle: bool = False) -> list[str]:
    """The lines of a label in its box."""
    x = box.x + (box.width / 2 if middle else label.indent)
    return [words(line, x, box.y + top, middle=middle) for top, line in label.lines]


def way(points: Sequence[Point]) -> tuple[str, str]:
    """An arrow's line with round corners, and its head."""
    end, towards = points[-1], _direction(points[-2], points[-1])
    length, half = _HEAD
    base = end[0] - towards[0] * length, end[1] - towards[1] * length
    side = -towards[1] * half, towards[0] * half
    tips = (end, (base[0] + side[0], base[1] + side[1]), (base[0] - side[0], base[1] - side[1]))
    line = f"<path{attributes(class_='way', d=_path([*points[:-1], base]))}/>"
    return line, f"<path{attributes(class_='head', d='M' + 'L'.join(map(_pair, tips)) + 'Z')}/>"


def glow(points: Sequence[Point], heat: float) -> str:
    """A band under an arrow, the wider and redder the hotter."""
    opacity = f"{0.12 + 0.4 * heat:.2f}"
    return f"<path{attributes(class_='glow', d=_path(points), stroke_width=3 + 10 * heat, stroke_opacity=opacity)}/>"


def rule(x1: float, x2: float, y: float) -> str:
    """A thin line across."""
    return f"<path{attributes(class_='rule', d=f'M{_pair((x1, y))}H{number(x2)}')}/>"


def dot(point: Point) -> str:
    """Where an arrow leaves a whole group."""
    return f"<circle{attributes(class_='head', cx=point[0], cy=point[1], r=3.6)}/>"


def _path(points: Sequence[Point]) -> str:
    parts = [f"M{_pair(points[0])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(_CORNER, *(hypot(b[0] - a[0], b[1] - a[1]) / 2 for a, b in pairwise((before, corner, after))))
        inward, outward = _direction(before, corner), _direction(corner, after)
        start = corner[0] - inward[0] * radius, corner[1] - inward[1] * radius
        stop = corner[0] + outward[0] * radius, corner[1] + outward[1] * radius
        parts.append(f"L{_pair(start)}Q{_pair(corner)} {_pair(stop)}")
    return "".join([*parts, f"L{_pair(points[-1])}"])


def _direction(a: Point, b: Point) -> Point:
    length = hypot(b[0] - a[0], b[1] - a[1]) or 1.0
    return (b[0] - a[0]) / length, (b[1] - a[1]) / length


def _pair(point: Point) -> str:
    return f"{number(point[0])} {number(point[1])}"


def group(css: str, parts: Iterable[str], title: str = "", **data: str) -> str:
    """Elements together, with a title that browsers show on hovering."""
    inside = [f"<title>{quoted(title)}</title>", *parts] if title else list(parts)
    return "\n".join([f"<g{attributes(class_=css)}{_data(data)}>", *inside, "</g>"])


def _data(values: dict[str, str]) -> str:
    return "".join(f' data-{name}="{quoted(value)}"' for name, value in values.items())
