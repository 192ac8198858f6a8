"""How wide everything is: columns, the zones beside them, and the street of the lanes between them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fsm.render.model import Role
from fsm.render.svg import labels as write
from fsm.render.svg.labels import Label
from fsm.render.svg.plan import Column, Loop, Plan
from fsm.render.svg.text import Style, width

PAGE: Final = 1040.0  # px; a wider picture would be shrunk in most pages
MARGIN: Final = 22.0
PAD: Final = 16.0  # from the border of a group to what it holds
TRACK: Final = 13.0  # between loops beside each other, and bends
ZONE: Final = 10.0  # on both sides of a zone's labels
HAIRPIN: Final = 30.0  # how far a hairpin and its air reach out
ON_SPINE: Final = 9.0  # from a spine to its label
_AXIS: Final = 30.0  # from the left edge of a box to the first spine
_BOX: Final = 15.0  # left and right of what is written in a box
_LEAST_BOX: Final = 116.0
_TEXT: Final = 215.0  # the widest text in a box
_SPINE: Final = (0.0, 150.0, 102.0)  # the width of one spine's label if there are so many
_LOOP: Final = (280.0, 114.0)  # of a loop's label with one and with two columns
_STREET: Final = (308.0, 460.0)  # the least and greatest room for the lanes' labels
_SHORTEST: Final = 200.0  # of a lane
_HEAD: Final = 18.0  # left and right of a group's name


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a column: how far from the boxes' edge its zones begin and its groups' borders are, by depth."""

    zones: Mapping[int, float]
    tracks: Mapping[int, float]  # where each zone's first track is
    borders: Mapping[int, float]
    width: float


@dataclass(frozen=True, slots=True)
class Widths:
    """Of each column: the width of its boxes and the axis of its first spine; of the page: the lanes' labels."""

    columns: tuple[float, ...]
    axes: tuple[float, ...]
    boxes: Mapping[str, Label]
    labels: tuple[Label, ...]
    street: float


def widths(planned: Plan) -> Widths:
    """Chooses widths so that the page is filled but not exceeded, and writes all labels accordingly."""
    boxes = {n.id: write.of_node(n, _TEXT) for n in planned.diagram.nodes}
    axes = tuple(_axis(planned, column) for column in planned.columns)
    columns = tuple(_column(x, axis, boxes) for x, axis in zip(planned.columns, axes, strict=True))
    texts: dict[int, Label] = {}
    for column, axis, wide in zip(planned.columns, axes, columns, strict=True):
        texts.update(_spines(planned, column, wide - axis))
        for loop in (*column.west, *column.east):
            texts[loop.arrow] = _write(planned, loop.arrow, _LOOP[len(planned.columns) - 1])
    street = _street(planned, columns, texts) if planned.lanes else 0.0
    needed = _SHORTEST if planned.lanes else 0.0
    for lane in planned.lanes:
        texts[lane.arrow] = _write(planned, lane.arrow, street)
        needed = max(needed, texts[lane.arrow].width)
    return Widths(columns, axes, boxes, tuple(texts[i] for i in range(len(planned.diagram.arrows))), needed)


def _write(planned: Plan, arrow: int, room: float) -> Label:
    return write.of_arrow(planned.diagram.arrows[arrow], room)


def _axis(planned: Plan, column: Column) -> float:
    """The first spine stands clear of the names of the groups that it enters."""
    groups = {g: planned.tree.depth(g) + 1 for n in column.nodes for g in planned.tree.holders(n)}
    deepest = max(groups.values(), default=0)
    heads = (
        width(planned.tree.groups[g].label, Style.GROUP) + _HEAD - PAD * (deepest - depth + 1)
        for g, depth in groups.items()
    )
    return min(max(_AXIS, *heads, _AXIS), 2 * _AXIS)


def _column(column: Column, axis: float, boxes: Mapping[str, Label]) -> float:
    abreast = max((len(x) for x in column.spines.values()), default=0)
    text = max(boxes[n].width for n in column.nodes) + 2 * _BOX
    return max(_LEAST_BOX, text, axis + abreast * _SPINE[abreast] if abreast else 0)


def _spines(planned: Plan, column: Column, room: float) -> dict[int, Label]:
    return {
        a: _write(planned, a, room / len(abreast) - ON_SPINE - 4) for abreast in column.spines.values() for a in abreast
    }


def _street(planned: Plan, columns: Iterable[float], texts: Mapping[int, Label]) -> float:
    sides = (
        side(planned, column, loops, texts, _guessed(loops))
        for column in planned.columns
        for loops in (column.west, column.east)
    )
    taken = 2 * MARGIN + sum(columns) + sum(s.width for s in sides) + 2 * ZONE
    least, most = _STREET
    return min(max(least, PAGE - taken), most)


def _guessed(loops: Iterable[Loop]) -> dict[int, int]:
    depths = [loop.depth for loop in loops if not loop.hairpin]
    return {depth: min(depths.count(depth), 3) for depth in depths}


def side(
    planned: Plan, column: Column, loops: Sequence[Loop], texts: Mapping[int, Label], tracks: Mapping[int, int]
) -> Side:
    """Lays zones and borders from the boxes outwards."""
    zones, first, borders, at = {}, {}, {}, 0.0
    for depth in range(max(planned.tree.depth(n) for n in column.nodes), -1, -1):
        here = [loop for loop in loops if loop.depth == depth]
        zones[depth] = at
        if here:
            first[depth] = max(start(x, at) + texts[x.arrow].width for x in here) + ZONE
            at = first[depth] + TRACK * tracks.get(depth, 0)
        if depth:
            at += PAD
            borders[depth] = at
    return Side(zones, first, borders, at)


def start(loop: Loop, zone: float) -> float:
    """How far from the boxes a loop's label begins. Beside a state that holds itself nothing else is in the way."""
    return (0.0 if loop.source == loop.target else zone) + (HAIRPIN if loop.hairpin else ZONE)


def slot(widths_: Widths, column: int, at: int, abreast: int) -> float:
    """How far from the boxes' left edge a spine stands."""
    axis = widths_.axes[column]
    return axis + at * (widths_.columns[column] - axis) / abreast


def is_birth(planned: Plan, node: str) -> bool:
    """True for the dot, which is narrower than a box."""
    return node in planned.tree.nodes and planned.tree.nodes[node].role is Role.BIRTH
