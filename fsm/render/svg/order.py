"""In which order arrows leave a side of a column, so that as few as possible cross."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fsm.render.model import Diagram
from fsm.render.svg.plan import Column, Lane, Loop, Plan, plan
from fsm.render.svg.tree import Tree


@dataclass(frozen=True, slots=True)
class _Reach:
    """A lane and the positions that its ends may have."""

    lane: Lane
    left: tuple[int, int]
    right: tuple[int, int]

    def leads(self, other: "_Reach") -> bool:
        """Must stand above the other on the left."""
        return self.left[1] < other.left[0]

    def leads_right(self, other: "_Reach") -> bool:
        """Must stand above the other on the right."""
        return self.right[1] < other.right[0]


def best(diagram: Diagram) -> Plan:
    """The plan whose right column has the order with the fewest lanes across each other."""
    tree = Tree(diagram)
    left, right = tree.columns()
    plans = (
        (plan(diagram, tree, left, order) for order in tree.orders(right)) if right else [plan(diagram, tree, left, ())]
    )
    return min(plans, key=lambda planned: (_conflicts(planned), _unnumbered(planned)))


def _reaches(planned: Plan) -> list[_Reach]:
    if not planned.lanes:
        return []
    left, right = planned.columns
    return [_Reach(x, left.span(planned.tree, x.left), right.span(planned.tree, x.right)) for x in planned.lanes]


def _unnumbered(planned: Plan) -> int:
    """How many steps of a path stand above an earlier one."""
    steps = [n for x in lanes(planned) if (n := planned.diagram.arrows[x.arrow].number) is not None]
    return sum(a > b for i, a in enumerate(steps) for b in steps[i:])


def _conflicts(planned: Plan) -> int:
    found = _reaches(planned)
    return sum(a.leads(b) and b.leads_right(a) for a in found for b in found)


# --- lanes -----------------------------------------------------------------------------------------


def lanes(planned: Plan) -> tuple[Lane, ...]:
    """Lanes from top to bottom: always in the order of the left column, of the right one where that is possible."""
    rest = _reaches(planned)
    done: list[Lane] = []
    position = 0
    while rest:
        free = [x for x in rest if not any(y.leads(x) for y in rest)]
        chosen = min(free, key=lambda x: _rank(x, rest, position))
        position = max(position, chosen.left[0])
        rest.remove(chosen)
        done.append(chosen.lane)
    return tuple(done)


def _rank(reach: _Reach, rest: Iterable[_Reach], position: int) -> tuple[int, ...]:
    waits = sum(other.leads_right(reach) for other in rest)
    stands = 0 if reach.left == (position, position) else max(1, reach.left[0] - position + 1)
    return waits, stands, reach.left[1], reach.right[1], reach.lane.arrow


def straight(planned: Plan, ordered: Sequence[Lane]) -> frozenset[int]:
    """The arrows of the most lanes that can run into the right column without a bend."""
    best_for: dict[int, tuple[int, ...]] = {-1: ()}  # by the lowest first position so far
    for lane in ordered:
        low, high = planned.columns[1].span(planned.tree, lane.right)
        for floor, taken in sorted(best_for.items()):
            if floor <= high and len(taken) >= len(best_for.get(max(floor, low), ())):
                best_for[max(floor, low)] = (*taken, lane.arrow)
    longest: tuple[int, ...] = max(best_for.values(), key=len)
    return frozenset(longest)


def right_side(planned: Plan, ordered: Sequence[Lane]) -> tuple[Lane, ...]:
    """All lanes as they arrive on the right: the straight ones in their order, bent ones above or below them."""
    runs = straight(planned, ordered)
    column, tree = planned.columns[1], planned.tree
    row = {lane.arrow: i for i, lane in enumerate(ordered)}
    arrived = [(_position(x, column, tree), x) for x in ordered if x.arrow in runs]
    floor = 0
    placed: list[tuple[int, int, int, Lane]] = []
    for low, lane in arrived:
        floor = max(floor, low)
        placed.append((floor, 1, row[lane.arrow], lane))
    for lane in (x for x in ordered if x.arrow not in runs):
        low = _position(lane, column, tree)
        mates = [r for at, _, r, _ in placed if at == low]
        placed.append((low, 0 if mates and row[lane.arrow] < min(mates) else 2, row[lane.arrow], lane))
    return tuple(lane for *_, lane in sorted(placed, key=lambda x: x[:3]))


def _position(lane: Lane, column: Column, tree: Tree) -> int:
    return column.span(tree, lane.right)[0]


# --- loops -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a loop touches its column. A hairpin has one stop only."""

    loop: Loop
    place: str
    outgoing: bool


def stops(loops: Iterable[Loop], column: Column, tree: Tree) -> tuple[Stop, ...]:
    """The stops of one side from top to bottom, so that loops lie within each other where they can."""
    found = [(_stop_rank(stop, column, tree), stop) for loop in loops for stop in _stops(loop)]
    return tuple(stop for _, stop in sorted(found, key=lambda x: x[0]))


def _stops(loop: Loop) -> Iterator[Stop]:
    if loop.hairpin:
        yield Stop(loop, loop.target, outgoing=True)
    else:
        yield Stop(loop, loop.source, outgoing=True)
        yield Stop(loop, loop.target, outgoing=False)


def _stop_rank(stop: Stop, column: Column, tree: Tree) -> tuple[int, int, int, int]:
    """At one node: arrows from and to above, nearest first; hairpins; those from and to below, farthest first."""
    loop = stop.loop
    here = column.span(tree, stop.place)
    if loop.hairpin:
        return here[0], 1, 0, loop.arrow
    there = column.span(tree, loop.target if stop.outgoing else loop.source)
    if there[1] < here[0]:
        return here[0], 0, -there[1], -loop.arrow
    return here[1], 2, -there[0], loop.arrow
