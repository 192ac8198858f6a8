"""Which way each arrow goes.

spine   straight down or up, between neighbours of one column
lane    straight across, between the columns
loop    out of a column, along it, and back in
hairpin a short loop: to the state itself, or from a group to a state in it
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from fsm.render.model import Arrow, Diagram
from fsm.render.svg.tree import Tree

ABREAST: Final = 2  # arrows of one gap


@dataclass(frozen=True, slots=True)
class Loop:
    """An arrow beside its column. `container` is the group that it stays in; None: outside of all."""

    arrow: int
    source: str
    target: str
    container: str | None
    depth: int  # how many groups are around it
    hairpin: bool


@dataclass(frozen=True, slots=True)
class Lane:
    """An arrow between the columns: what it touches on the left and on the right."""

    arrow: int
    left: str
    right: str


@dataclass(slots=True)
class Column:
    """Nodes from top to bottom, arrows in the gaps below each (and from which place), loops on either side."""

    nodes: tuple[str, ...]
    spines: dict[int, list[int]] = field(default_factory=dict)
    west: list[Loop] = field(default_factory=list)
    east: list[Loop] = field(default_factory=list)

    def span(self, tree: Tree, place: str) -> tuple[int, int]:
        """The first and the last position of a place's nodes."""
        at = [self.nodes.index(n) for n in tree.leaves(place) if n in self.nodes]
        return min(at), max(at)


@dataclass(frozen=True, slots=True)
class Plan:
    """All arrows, each in exactly one of spines, loops and lanes. `columns` are one or two."""

    diagram: Diagram
    tree: Tree
    columns: tuple[Column, ...]
    lanes: tuple[Lane, ...]


def plan(diagram: Diagram, tree: Tree, left: tuple[str, ...], right: tuple[str, ...]) -> Plan:
    """The ways for an order of the columns' nodes."""
    columns = tuple(Column(nodes) for nodes in (left, right) if nodes)
    lanes: list[Lane] = []
    for number, arrow in enumerate(diagram.arrows):
        ends = _column(columns, tree, arrow.source), _column(columns, tree, arrow.target)
        if ends[0] != ends[1]:
            lanes.append(Lane(number, *(arrow.source, arrow.target)[:: 1 if ends[0] < ends[1] else -1]))
        elif not _spine(columns[ends[0]], tree, number, arrow):
            _loop(columns, ends[0], tree, number, arrow)
    return Plan(diagram, tree, columns, tuple(lanes))


def _column(columns: Iterable[Column], tree: Tree, place: str) -> int:
    return next(i for i, column in enumerate(columns) if tree.leaves(place)[0] in column.nodes)


def _spine(column: Column, tree: Tree, number: int, arrow: Arrow) -> bool:
    """Puts the arrow into the gap between its ends, if they are neighbours and there is room."""
    if arrow.target in tree.leaves(arrow.source):
        return False
    first, last = column.span(tree, arrow.source)
    at = column.nodes.index(arrow.target)
    gap = last if at == last + 1 else at if at == first - 1 else None
    if gap is None or len(column.spines.get(gap, ())) >= ABREAST:
        return False
    column.spines.setdefault(gap, []).append(number)
    return True


def _loop(columns: tuple[Column, ...], at: int, tree: Tree, number: int, arrow: Arrow) -> None:
    column = columns[at]
    hairpin = arrow.target in tree.leaves(arrow.source)
    container = tree.common(arrow.source, arrow.target)
    depth = tree.depth(container) + 1 if container else 0
    loop = Loop(number, arrow.source, arrow.target, container, depth, hairpin)
    if len(columns) == 2:
        side = column.west if at == 0 else column.east
    else:
        down = column.span(tree, arrow.source)[0] < column.nodes.index(arrow.target)
        sides = (column.east, column.west) if down or hairpin else (column.west, column.east)
        side = min(sides, key=lambda others: sum(_interlocked(column, tree, loop, other) for other in others))
    side.append(loop)


def _interlocked(column: Column, tree: Tree, one: Loop, other: Loop) -> bool:
    """They would cross on one side: each begins or ends within the other."""
    if one.hairpin or other.hairpin:
        return False
    (a, b), (c, d) = sorted(_stretch(column, tree, loop) for loop in (one, other))
    return a < c < b < d


def _stretch(column: Column, tree: Tree, loop: Loop) -> tuple[int, int]:
    """From the upper place's last node to the lower one's first."""
    upper, lower = sorted(column.span(tree, place) for place in (loop.source, loop.target))
    return upper[1], lower[0]
