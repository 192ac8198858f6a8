"""Where boxes and rows stand on the page, from top to bottom.

A row is the horizontal stretch of an arrow, its label upon it. All rows on one side of a column follow each other, each
within the height of the box that it touches; so no label can lie on another, and no arrow runs through a strange box.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

from fsm.render.model import Role
from fsm.render.svg.labels import Label
from fsm.render.svg.order import Stop, lanes, right_side, stops, straight
from fsm.render.svg.plan import Column, Lane, Plan
from fsm.render.svg.solve import System, Var

HEADER: Final = 26.0  # px, for the name of a group
PAD: Final = 16.0  # below the last box of a group
GAP: Final = 26.0  # between boxes that no arrow joins
REACH: Final = 20.0  # from the edge of a box to the nearest row
BIRTH: Final = 18.0  # diameter of the dot
BEND: Final = 8.0  # half the height of a hairpin
_ROWS: Final = 14.0  # between a row and what the next one carries
_ON_LINE: Final = 5.0  # between a label and its line
_AIR: Final = 9.0  # above and below the label of a spine
_OVERHANG: Final = 6.0  # of a hairpin's label over the edges of its box
_BOX: Final = 11.0  # above and below what is written in a box


@dataclass(frozen=True, slots=True)
class Row:
    """One horizontal stretch: at which place, how much it needs above and below, below which group's name."""

    var: Var
    place: str
    up: float = 0.0
    down: float = 0.0
    container: str | None = None
    reach: float = REACH  # from the edges of the place


@dataclass(frozen=True, slots=True)
class Heights:
    """The solution: where each variable is, and which lanes have a bend."""

    at: Mapping[Var, float]
    bent: frozenset[int]

    def box(self, place: str) -> tuple[float, float]:
        """Top and bottom of a node or group."""
        return self.at["top", place], self.at["bottom", place]


def heights(planned: Plan, labels: Sequence[Label], boxes: Mapping[str, Label]) -> Heights:
    """Solves for all boxes and rows."""
    system = System()
    for column in planned.columns:
        _boxes(system, planned, column, labels, boxes)
        for side in (column.west, column.east):
            _rows(system, [_stop(x, labels) for x in stops(side, column, planned.tree)])
    bent = _lanes(system, planned, labels) if planned.lanes else frozenset()
    found = system.solve()
    for i, column in enumerate(planned.columns):
        sides = [[_stop(x, labels) for x in stops(s, column, planned.tree)] for s in (column.west, column.east)]
        _settle(system, found, planned, column, sides, tight=i == 0)
    return Heights(_unstuck(found, bent), bent)


# --- boxes -----------------------------------------------------------------------------------------


def _boxes(system: System, planned: Plan, column: Column, labels: Sequence[Label], boxes: Mapping[str, Label]) -> None:
    tree = planned.tree
    for node in column.nodes:
        birth = tree.nodes[node].role is Role.BIRTH
        least = BIRTH if birth else max(2 * REACH, boxes[node].height + 2 * _BOX)
        system.apart(("top", node), ("bottom", node), least)
    for outer, inner in _openings(planned, column.nodes[0], ()):
        system.apart(("top", outer), ("top", inner), HEADER)
    for gap, (upper, lower) in enumerate(pairwise(column.nodes)):
        closed = _closed(system, planned, upper, tree.holders(lower))
        opened = [outer for outer, _ in _openings(planned, lower, tree.holders(upper))]
        tall = max((labels[a].height for a in column.spines.get(gap, ())), default=0)
        least = max(GAP, tall + 2 * _AIR if tall else 0)
        system.apart(("bottom", closed), ("top", next(iter(opened), lower)), least)
        for outer, inner in _openings(planned, lower, tree.holders(upper)):
            system.apart(("top", outer), ("top", inner), HEADER)
    _closed(system, planned, column.nodes[-1], ())


def _openings(planned: Plan, node: str, inside: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The groups that begin above a node, each with what it holds next, outermost first."""
    new = [g for g in planned.tree.holders(node) if g not in inside]
    yield from pairwise((*reversed(new), node))


def _closed(system: System, planned: Plan, node: str, still: Iterable[str]) -> str:
    """Closes the groups that end below a node; the outermost of them, or the node."""
    ended = [g for g in planned.tree.holders(node) if g not in still]
    for inner, outer in pairwise((node, *ended)):
        system.apart(("bottom", inner), ("bottom", outer), PAD)
    return (node, *ended)[-1]


def _settle(
    system: System,
    found: dict[Var, float],
    planned: Plan,
    column: Column,
    sides: Sequence[Sequence[Row]],
    *,
    tight: bool,
) -> None:
    """Makes boxes that rows have stretched shorter again, from the lowest up; idle ones go down too unless `tight`."""
    for at, node in reversed(list(enumerate(column.nodes))):
        idle = not any(var[0] in ("row", "port") for var, _ in system.above["bottom", node])
        if idle and tight:
            continue
        if idle and node != column.nodes[-1]:
            system.sink(found, ("bottom", node))
        _gather(system, found, node, sides)
        system.sink(found, ("top", node))
        for group in planned.tree.holders(node):
            if column.span(planned.tree, group)[0] == at:
                system.sink(found, ("top", group))


def _gather(system: System, found: dict[Var, float], node: str, sides: Sequence[Sequence[Row]]) -> None:
    """Lowers the loops of a box to where its top could be without them."""
    loops = {row.var for rows in sides for row in rows}
    limit = system.limit(found, ("top", node), loops)
    for rows in sides:
        mine = [row for row in rows if row.place == node]
        caps = accumulate(
            pairwise(mine), lambda y, pair: y + _between(*pair), initial=limit + (mine[0].reach if mine else 0)
        )
        for row, cap in reversed(list(zip(mine, caps, strict=False))):
            system.sink(found, row.var, cap)


# --- rows ------------------------------------------------------------------------------------------


def _rows(system: System, rows: Sequence[Row]) -> None:
    for row in rows:
        system.apart(("top", row.place), row.var, row.reach)
        system.apart(row.var, ("bottom", row.place), row.reach)
        system.floor(row.var, row.up)
        if row.container is not None:
            system.apart(("top", row.container), row.var, HEADER + row.up)
    for upper, lower in pairwise(rows):
        system.apart(upper.var, lower.var, _between(upper, lower))


def _between(upper: Row, lower: Row) -> float:
    return upper.down + _ROWS + lower.up


def _stop(stop: Stop, labels: Sequence[Label]) -> Row:
    loop, tall = stop.loop, labels[stop.loop.arrow].height
    if loop.hairpin:
        half = max(BEND, tall / 2)
        return Row(("row", loop.arrow), stop.place, half, half, loop.container, max(REACH + BEND / 2, half - _OVERHANG))
    if stop.outgoing:
        return Row(("row", loop.arrow), stop.place, tall + _ON_LINE, 0, loop.container)
    return Row(("port", loop.arrow), stop.place, 0, 0, loop.container)


def _lanes(system: System, planned: Plan, labels: Sequence[Label]) -> frozenset[int]:
    ordered = lanes(planned)
    runs = straight(planned, ordered)

    def row(lane: Lane, place: str, *, bent: bool = False) -> Row:
        up = 0 if bent else labels[lane.arrow].height + _ON_LINE
        return Row(("port" if bent else "row", lane.arrow), place, up)

    _rows(system, [row(lane, lane.left) for lane in ordered])
    _rows(system, [row(x, x.right, bent=x.arrow not in runs) for x in right_side(planned, ordered)])
    return frozenset(lane.arrow for lane in planned.lanes) - runs


def _unstuck(found: dict[Var, float], bent: Iterable[int]) -> dict[Var, float]:
    """Moves the arrival of a bent lane off the rows of the others, or both would look like one line."""
    near = 4.0
    for arrow in bent:
        port = found["port", arrow]
        for other in (x for x in bent if x != arrow):
            distance = port - found["row", other]
            if abs(distance) < near:
                found["port", arrow] = found["row", other] + (near if distance >= 0 else -near)
    return found
