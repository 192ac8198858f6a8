"""The whole picture as coordinates in px: boxes, lines and labels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fsm.render.model import Diagram
from fsm.render.svg import horizontal as h
from fsm.render.svg.horizontal import Side, Widths, widths
from fsm.render.svg.labels import Label
from fsm.render.svg.order import best
from fsm.render.svg.plan import Column, Lane, Loop, Plan
from fsm.render.svg.vertical import BEND, BIRTH, Heights, heights

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Way:
    """Where an arrow runs, from its source to its target, and the box of its label."""

    points: tuple[Point, ...]
    label: Box


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything that is drawn of a diagram, in the order of its nodes, groups and arrows."""

    plan: Plan
    nodes: Mapping[str, Box]
    groups: Mapping[str, Box]
    texts: Mapping[str, Label]  # of the nodes
    ways: tuple[Way, ...]
    labels: tuple[Label, ...]
    width: float
    height: float


def lay_out(diagram: Diagram) -> Layout:
    """Places everything. Raises ValueError if the diagram names what it does not have."""
    if not diagram.nodes:
        raise ValueError(f"diagram {diagram.name!r} has no node")
    planned = best(diagram)
    wide = widths(planned)
    return _Placing(planned, wide, heights(planned, wide.labels, wide.boxes)).layout()


class _Placing:
    """The steps from a plan to coordinates."""

    def __init__(self, planned: Plan, wide: Widths, high: Heights) -> None:
        self.plan, self.wide, self.high = planned, wide, high
        self.tracks = {loop.arrow: 0 for c in planned.columns for loop in (*c.west, *c.east)}
        self.sides = [(self._side(c, c.west), self._side(c, c.east)) for c in planned.columns]
        self.bends = self._bends()
        self.lefts = self._lefts()

    def layout(self) -> Layout:
        """All of it."""
        nodes = {n: self._node(n) for n in self.plan.tree.nodes}
        groups = {g: self._group(g) for g in self.plan.tree.groups}
        found: dict[int, Way] = {}
        for at, column in enumerate(self.plan.columns):
            found.update(self._spines(at, column))
            found.update((x.arrow, self._loop(at, x, 0)) for x in column.west)
            found.update((x.arrow, self._loop(at, x, 1)) for x in column.east)
        found.update((lane.arrow, self._lane(lane)) for lane in self.plan.lanes)
        ways = tuple(found[i] for i in range(len(found)))
        right = self.lefts[-1] + self.wide.columns[-1] + self.sides[-1][1].width
        bottom = max(*(box.bottom for box in (*nodes.values(), *groups.values())), *(w.label.bottom for w in ways), 0.0)
        return Layout(self.plan, nodes, groups, self.wide.boxes, ways, self.wide.labels, right, bottom)

    # --- sides and columns ---------------------------------------------------------------------------

    def _side(self, column: Column, loops: Sequence[Loop]) -> Side:
        counts: dict[int, int] = {}
        for depth in {loop.depth for loop in loops}:
            here = [x for x in loops if x.depth == depth and not x.hairpin]
            counts[depth] = self._assign(here)
        return h.side(self.plan, column, loops, dict(enumerate(self.wide.labels)), counts)

    def _assign(self, loops: Iterable[Loop]) -> int:
        """Short loops on inner tracks, longer ones around them; how many tracks that takes."""
        spans = sorted((self._span(x), x.arrow) for x in loops)
        taken: list[tuple[float, float, int]] = []
        for (_, top, bottom), arrow in spans:
            track = max((t + 1 for a, b, t in taken if a <= bottom and top <= b), default=0)
            taken.append((top, bottom, track))
            self.tracks[arrow] = track
        return max((t + 1 for *_, t in taken), default=0)

    def _span(self, loop: Loop) -> tuple[float, float, float]:
        top, bottom = sorted((self.high.at["row", loop.arrow], self.high.at["port", loop.arrow]))
        return bottom - top, top, bottom

    def _bends(self) -> dict[int, int]:
        """The tracks of the bent lanes: of those that go down the lower ones first, else the upper ones."""
        at = self.high.at
        down = [a for a in self.high.bent if at["port", a] >= at["row", a]]
        up = [a for a in self.high.bent if a not in down]
        ordered = sorted(down, key=lambda a: -at["row", a]) + sorted(up, key=lambda a: at["row", a])
        return {arrow: i for i, arrow in enumerate(ordered)}

    def _lefts(self) -> list[float]:
        """The left edge of each column's boxes."""
        first = self.sides[0][0].width
        if len(self.sides) == 1:
            return [first]
        street = self.wide.street + 2 * h.ZONE + h.TRACK * len(self.bends) if self.plan.lanes else h.MARGIN
        return [first, first + self.wide.columns[0] + self.sides[0][1].width + street + self.sides[1][0].width]

    # --- boxes ---------------------------------------------------------------------------------------

    def _at(self, place: str) -> int:
        leaf = self.plan.tree.leaves(place)[0]
        return next(i for i, column in enumerate(self.plan.columns) if leaf in column.nodes)

    def _node(self, node: str) -> Box:
        top, bottom = self.high.box(node)
        at = self._at(node)
        if not h.is_birth(self.plan, node):
            return Box(self.lefts[at], top, self.wide.columns[at], bottom - top)
        where = self.plan.columns[at].nodes.index(node)
        abreast = [len(self.plan.columns[at].spines.get(gap, ())) for gap in (where - 1, where)]
        last = max((h.slot(self.wide, at, n - 1, n) for n in abreast if n), default=self.wide.axes[at])
        x = self.lefts[at] + self.wide.axes[at] - BIRTH / 2
        return Box(x, top, last - self.wide.axes[at] + BIRTH, bottom - top)

    def _group(self, group: str) -> Box:
        top, bottom = self.high.box(group)
        at = self._at(group)
        west, east = (side.borders[self.plan.tree.depth(group) + 1] for side in self.sides[at])
        return Box(self.lefts[at] - west, top, west + self.wide.columns[at] + east, bottom - top)

    def _edge(self, place: str, side: int) -> float:
        box = self._group(place) if place in self.plan.tree.groups else self._node(place)
        return box.right if side else box.x

    # --- ways ----------------------------------------------------------------------------------------

    def _spines(self, at: int, column: Column) -> Iterable[tuple[int, Way]]:
        for abreast in column.spines.values():
            for i, number in enumerate(abreast):
                arrow, label = self.plan.diagram.arrows[number], self.wide.labels[number]
                x = self.lefts[at] + h.slot(self.wide, at, i, len(abreast))
                source, target = self.high.box(arrow.source), self.high.box(arrow.target)
                down = source[0] < target[0]
                ends = (source[1], target[0]) if down else (source[0], target[1])
                middle = self._gap_middle(arrow.source, arrow.target)
                box = Box(x + h.ON_SPINE, middle - label.height / 2, label.width, label.height)
                yield number, Way(((x, ends[0]), (x, ends[1])), box)

    def _gap_middle(self, one: str, other: str) -> float:
        """Half way between the outermost boxes on either side of a gap."""
        boxes = [self.high.box(self._outermost(a, b)) for a, b in ((one, other), (other, one))]
        upper, lower = sorted(boxes)
        return (upper[1] + lower[0]) / 2

    def _outermost(self, place: str, other: str) -> str:
        holders = [g for g in self.plan.tree.holders(place) if g not in self.plan.tree.holders(other)]
        return (place, *holders)[-1]

    def _loop(self, at: int, loop: Loop, side: int) -> Way:
        zones, sign = self.sides[at][side], 1 if side else -1
        edge = self.lefts[at] + (self.wide.columns[at] if side else 0)
        inner = edge + sign * h.start(loop, zones.zones[loop.depth])
        source, target = self._edge(loop.source, side), self._edge(loop.target, side)
        label, row = self.wide.labels[loop.arrow], self.high.at["row", loop.arrow]
        if loop.hairpin:
            out = inner - sign * h.ZONE
            ys = row - BEND, row + BEND
            box = Box(inner if side else inner - label.width, row - label.height / 2, label.width, label.height)
        else:
            out = edge + sign * (zones.tracks[loop.depth] + h.TRACK * self.tracks[loop.arrow])
            ys = row, self.high.at["port", loop.arrow]
            box = self._on(inner if side else inner - label.width, row, label)
        return Way(((source, ys[0]), (out, ys[0]), (out, ys[1]), (target, ys[1])), box)

    def _lane(self, lane: Lane) -> Way:
        label, row = self.wide.labels[lane.arrow], self.high.at["row", lane.arrow]
        start = self.lefts[0] + self.wide.columns[0] + self.sides[0][1].width + h.ZONE
        points = [(self._edge(lane.left, 1), row), (self._edge(lane.right, 0), row)]
        if lane.arrow in self.bends:
            bend = start + self.wide.street + h.TRACK * (self.bends[lane.arrow] + 0.5)
            port = self.high.at["port", lane.arrow]
            points[1:] = [(bend, row), (bend, port), (points[1][0], port)]
        forth = self.plan.diagram.arrows[lane.arrow].source == lane.left
        return Way(tuple(points if forth else reversed(points)), self._on(start, row, label))

    def _on(self, x: float, row: float, label: Label) -> Box:
        return Box(x, row - label.height - 5, label.width, label.height)
