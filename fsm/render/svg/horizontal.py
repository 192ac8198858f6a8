"""How wide everything is: columns, the zones beside them, and the street of the lanes between them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fsm.render.model import Arrow, Role
from fsm.render.svg import labels as write
from fsm.render.svg.labels import Label
from fsm.render.svg.plan import Column, Loop, Plan
from fsm.render.svg.text import Style, clean, width

PAGE: Final = 1040.0  # px; a wider picture would be shrunk in most pages
MARGIN: Final = 22.0
PAD: Final = 16.0  # from the border of a group to what it holds
TRACK: Final = 13.0  # between loops beside each other, and bends
ZONE: Final = 9.0  # on both sides of a zone's labels
HAIRPIN: Final = 28.0  # how far a hairpin and its air reach out
ON_SPINE: Final = 9.0  # from a spine to its label
_AIR: Final = 6.0  # from that label to the next spine
_AXIS: Final = 30.0  # from the left edge of a box to the first spine
_BOX: Final = 15.0  # left and right of what is written in a box
_TEXT: Final = 215.0  # the widest text in a box
_STREET: Final = (306.0, 460.0)  # the least and greatest room for the lanes' labels
_SHORTEST: Final = 200.0  # of a lane
_HEAD: Final = 18.0  # left and right of a group's name


@dataclass(frozen=True, slots=True)
class _Room:
    """px for: a box at least, the label of a spine that is alone and of one of two, the label of a loop."""

    box: float
    alone: float
    abreast: float
    loop: float

    def spines(self, planned: Plan, abreast: Sequence[int]) -> float:
        """For spines beside each other: no event of theirs is broken, unless it is very long."""
        if len(abreast) == 1:
            return self.alone
        return len(abreast) * max(self.abreast, *(_longest(planned.diagram.arrows[a]) for a in abreast))


_ONE_COLUMN: Final = _Room(150, 220, 150, 290)
_ROOMY: Final = _Room(140, 200, 140, 170)
_TIGHT: Final = _Room(116, 170, 100, 114)
_WORD: Final = 150.0  # a longer word in the label of a spine is broken


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
    """Chooses widths that fill the page and, if that can be, do not exceed it; writes all labels accordingly."""
    if len(planned.columns) == 1:
        return _written(planned, _ONE_COLUMN)[0]
    roomy, free = _written(planned, _ROOMY)
    return roomy if free >= _STREET[0] or not planned.lanes else _written(planned, _TIGHT)[0]


def _written(planned: Plan, room: _Room) -> tuple[Widths, float]:
    """With all labels; and what is left for the lanes."""
    boxes = {n.id: write.of_node(n, _TEXT) for n in planned.diagram.nodes}
    axes = tuple(_axis(planned, column) for column in planned.columns)
    columns = tuple(_column(planned, x, axis, boxes, room) for x, axis in zip(planned.columns, axes, strict=True))
    texts: dict[int, Label] = {}
    for column, wide in zip(planned.columns, columns, strict=True):
        boxes.update((n, write.of_node(planned.tree.nodes[n], wide - 2 * _BOX)) for n in column.nodes)
    for column, axis, wide in zip(planned.columns, axes, columns, strict=True):
        texts.update(_spines(planned, column, wide - axis))
        for loop in (*column.west, *column.east):
            texts[loop.arrow] = _write(planned, loop.arrow, room.loop)
    free = _free(planned, columns, texts)
    street = min(max(_STREET[0], free), _STREET[1])
    for lane in planned.lanes:
        texts[lane.arrow] = _write(planned, lane.arrow, street)
    needed = max((_SHORTEST, *(texts[lane.arrow].width for lane in planned.lanes)))
    every = tuple(texts[i] for i in range(len(planned.diagram.arrows)))
    return Widths(columns, axes, boxes, every, needed), free


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
    return min(max((_AXIS, *heads)), 2 * _AXIS)


def _column(planned: Plan, column: Column, axis: float, boxes: Mapping[str, Label], room: _Room) -> float:
    text = max(boxes[n].width for n in column.nodes) + 2 * _BOX
    return max((room.box, text, *(axis + room.spines(planned, abreast) for abreast in column.spines.values())))


def _longest(arrow: Arrow) -> float:
    words = (width(clean(word), Style.EVENT) for caption in arrow.captions for word in caption.event.split())
    indent = Label((), number=arrow.number).indent
    return min(max(words, default=0), _WORD) + indent + ON_SPINE + _AIR


def _spines(planned: Plan, column: Column, room: float) -> dict[int, Label]:
    return {
        a: _write(planned, a, room / len(abreast) - ON_SPINE - _AIR)
        for abreast in column.spines.values()
        for a in abreast
    }


def _free(planned: Plan, columns: Iterable[float], texts: Mapping[int, Label]) -> float:
    sides = (
        side(planned, column, loops, texts, _guessed(loops))
        for column in planned.columns
        for loops in (column.west, column.east)
    )
    return PAGE - 2 * MARGIN - sum(columns) - sum(s.width for s in sides) - 2 * ZONE


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
            first[depth] = max(at, *(start(x, at) + texts[x.arrow].width + ZONE for x in here))
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
