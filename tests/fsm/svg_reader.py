"""Reads a picture back from the SVG text alone: boxes, lines, labels, as a reader's program would see them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from xml.etree import ElementTree

from fsm.render.svg.text import Style, width

NS = "{http://www.w3.org/2000/svg}"
BY_CSS = {style.css: style for style in Style}
Point = tuple[float, float]


@dataclass(frozen=True)
class Rect:
    """A box on the page."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Rect") -> bool:
        """They share more than an edge; numbers in the file are rounded to 0.1."""
        near = 0.15
        return (
            self.left < other.right - near
            and other.left < self.right - near
            and self.top < other.bottom - near
            and other.top < self.bottom - near
        )

    def inside(self, other: "Rect") -> bool:
        """It lies in the other."""
        return (
            self.left >= other.left - 0.1
            and self.right <= other.right + 0.1
            and self.top >= other.top - 0.1
            and self.bottom <= other.bottom + 0.1
        )

    def edge_has(self, point: Point) -> bool:
        """The point is on the border."""
        x, y = point
        across = self.left - 0.2 <= x <= self.right + 0.2
        along = self.top - 0.2 <= y <= self.bottom + 0.2
        on_side = min(abs(x - self.left), abs(x - self.right)) < 0.2 and along
        return on_side or (min(abs(y - self.top), abs(y - self.bottom)) < 0.2 and across)


@dataclass(frozen=True)
class DrawnArrow:
    """A line as it is drawn, its data, and its texts."""

    index: int
    source: str
    target: str
    tone: str
    edges: str
    points: tuple[Point, ...]
    dotted: bool  # it begins with a dot
    texts: tuple[Rect, ...]

    @property
    def segments(self) -> list[Rect]:
        """Its straight pieces, as boxes of no thickness."""
        return [_rect(a, b) for a, b in pairwise(self.points)]


@dataclass(frozen=True)
class Picture:
    """All of it, in the coordinates of the layout."""

    page: Rect
    nodes: dict[str, Rect]
    groups: dict[str, Rect]
    heads: tuple[Rect, ...]  # the names of groups
    inner: dict[str, tuple[Rect, ...]]  # texts in nodes
    arrows: tuple[DrawnArrow, ...]
    outside: tuple[Rect, ...]  # title, legend
    text: str

    def crossings(self) -> int:
        """How often two arrows cross."""
        return sum(_cross(x, y) for a, b in combinations(self.arrows, 2) for x in a.segments for y in b.segments)


def read(svg: str) -> Picture:
    """Parses; the text must be well-formed XML."""
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own text
    wide, tall = map(float, root.attrib["viewBox"].split()[2:])
    shifted = next(g for g in root.findall(f"{NS}g") if "transform" in g.attrib)
    x, y = (float(v) for v in re.findall(r"-?[\d.]+", shifted.attrib["transform"]))
    places = [g for g in shifted if g.attrib["class"] == "place"]
    nodes = [g for g in places if "data-node" in g.attrib]
    groups = [g for g in places if "data-group" in g.attrib]
    others = [e for e in root if e is not shifted]
    return Picture(
        Rect(-x, -y, wide - x, tall - y),
        {g.attrib["data-node"]: _box(g) for g in nodes},
        {g.attrib["data-group"]: _box(g) for g in groups},
        tuple(t for g in groups for t in _texts(g)),
        {g.attrib["data-node"]: tuple(_texts(g)) for g in nodes},
        tuple(_arrow(g) for g in shifted if g.attrib["class"].startswith("arrow ")),
        tuple(Rect(t.left - x, t.top - y, t.right - x, t.bottom - y) for e in others for t in _texts(e)),
        " ".join("".join(t.itertext()) for t in root.iter(f"{NS}text")),
    )


def text_boxes(svg: str) -> list[Rect]:
    """Of all texts, in the order of the document; where they are does not count the shift of the layout."""
    return list(_texts(ElementTree.fromstring(svg)))  # noqa: S314 - our own text


def _box(group: ElementTree.Element) -> Rect:
    rect = next(r for r in group.findall(f"{NS}rect") if set(r.attrib["class"].split()) & {"box", "birth", "frame"})
    x, y, w, h = (float(rect.attrib[k]) for k in ("x", "y", "width", "height"))
    return Rect(x, y, x + w, y + h)


def _texts(element: ElementTree.Element) -> Iterator[Rect]:
    for text in element.iter(f"{NS}text"):
        style = BY_CSS.get(text.attrib["class"], Style.EVENT)
        spans = text.findall(f"{NS}tspan")
        styles = [BY_CSS[s.attrib["class"]] for s in spans] or [style]
        wide = sum(width(s.text or "", k) for s, k in zip(spans, styles, strict=False)) or width(text.text or "", style)
        wide += sum(width(" ", k) for k in styles[:-1])
        x, y, size = float(text.attrib["x"]), float(text.attrib["y"]), max(k.size for k in styles)
        middle = text.attrib.get("text-anchor") == "middle" or text.attrib["class"] == "step"
        left = x - wide / 2 if middle else x
        yield Rect(left, y - 0.72 * size, left + wide, y + 0.2 * size)


def _arrow(group: ElementTree.Element) -> DrawnArrow:
    paths = {p.attrib["class"]: p.attrib["d"] for p in group.findall(f"{NS}path")}
    tip = _numbers(paths["head"].split("L")[0])
    line = [p for kind, p in _steps(paths["way"]) if kind != "after corner"]
    return DrawnArrow(
        int(group.attrib["data-arrow"]),
        *(group.attrib[f"data-{k}"] for k in ("source", "target", "tone", "edges")),
        (*line[:-1], tip),
        group.find(f"{NS}circle") is not None,
        tuple(_texts(group)),
    )


def _steps(path: str) -> Iterator[tuple[str, Point]]:
    """The corners of a path: the control points of its curves, without the places where these begin and end."""
    moves = re.findall(r"([MLQ])([^MLQ]+)", path)
    for i, (kind, numbers) in enumerate(moves):
        if kind == "L" and i + 1 < len(moves) and moves[i + 1][0] == "Q":
            continue
        yield kind, _numbers(numbers)


def _numbers(text: str) -> Point:
    x, y, *_ = (float(v) for v in re.findall(r"-?[\d.]+", text))
    return x, y


def _rect(a: Point, b: Point) -> Rect:
    return Rect(min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))


def _cross(a: Rect, b: Rect) -> bool:
    """One goes across, the other down, and they meet inside of both."""
    flat, steep = (a, b) if a.bottom - a.top < 0.2 else (b, a)
    if steep.right - steep.left > 0.2 or flat.bottom - flat.top > 0.2:
        return False
    return flat.left + 0.2 < steep.left < flat.right - 0.2 and steep.top + 0.2 < flat.top < steep.bottom - 0.2


def on_each_other(a: DrawnArrow, b: DrawnArrow) -> bool:
    """Some stretch of both looks like one line."""
    return any(_stretch(x, y) for x in a.segments for y in b.segments)


def _stretch(a: Rect, b: Rect) -> bool:
    wide = min(a.right, b.right) - max(a.left, b.left)
    tall = min(a.bottom, b.bottom) - max(a.top, b.top)
    return (wide > 1 and tall > -1.5) or (tall > 1 and wide > -1.5)
