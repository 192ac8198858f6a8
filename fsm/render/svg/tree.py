"""Which box holds which, and the two columns: the living on the left, ends on the right."""

from collections.abc import Iterable, Iterator
from itertools import islice, permutations, product
from typing import Final

from fsm.render.model import Diagram, Role

_ORDERS: Final = 120  # of the right column that are tried: all of five nodes


class Tree:
    """Nodes and groups by id. A place held by several unrelated groups counts to the first that names it."""

    def __init__(self, diagram: Diagram) -> None:
        """Raises ValueError if an arrow or a group names an id that is not there, or a group holds no node."""
        self.nodes = {node.id: node for node in diagram.nodes}
        self.groups = {group.id: group for group in diagram.groups}
        _check(diagram)
        self._parent: dict[str, str] = {}
        for group in diagram.groups:
            for member in group.members:
                self._parent.setdefault(member, group.id)
        empty = [g for g in self.groups if not self.leaves(g)]
        if empty:
            raise ValueError(f"diagram {diagram.name!r}: no node is in {', '.join(empty)}")

    def holders(self, place: str) -> tuple[str, ...]:
        """The groups around a place, innermost first, without itself."""
        found: list[str] = []
        while (place := self._parent.get(place, "")) and place not in found:
            found.append(place)
        return tuple(found)

    def depth(self, place: str) -> int:
        """How many groups are around a place."""
        return len(self.holders(place))

    def leaves(self, place: str) -> tuple[str, ...]:
        """The nodes of a group; of a node itself."""
        return tuple(n for n in self.nodes if n == place or place in self.holders(n))

    def common(self, one: str, other: str) -> str | None:
        """The innermost group that holds both places."""
        return next((g for g in self.holders(one) if g in self.holders(other)), None)

    def columns(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The nodes of the left and of the right column, in the order of life, groups together."""
        right = {n for n in self.nodes if self._is_end(n)}
        if right == set(self.nodes):
            right = set()
        left = [n for n in self.nodes if n not in right]
        return self._first_order(left), self._first_order([n for n in self.nodes if n in right])

    def _is_end(self, node: str) -> bool:
        mates = {n for g in self.holders(node)[-1:] for n in self.leaves(g)} or {node}
        return all(self.nodes[n].role is Role.ENDED for n in mates)

    def _first_order(self, nodes: Iterable[str]) -> tuple[str, ...]:
        return next(self.orders(nodes))

    def orders(self, nodes: Iterable[str]) -> Iterator[tuple[str, ...]]:
        """The orders of nodes that keep groups together; the order of life first, at most 120."""
        found = self._arrangements([(*reversed(self.holders(n)), n) for n in nodes])
        return islice(found, _ORDERS)

    def _arrangements(self, paths: list[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
        blocks: dict[str, list[tuple[str, ...]]] = {}
        for path in paths:
            blocks.setdefault(path[0], []).append(path[1:])
        for order in permutations(blocks):
            inner = [list(islice(self._inside(head, blocks[head]), _ORDERS)) for head in order]
            for parts in product(*inner):
                yield tuple(n for part in parts for n in part)

    def _inside(self, head: str, rest: list[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
        return self._arrangements(rest) if head in self.groups else iter([(head,)])


def _check(diagram: Diagram) -> None:
    """ValueError for what is named but not there."""
    nodes, groups = {n.id for n in diagram.nodes}, {g.id for g in diagram.groups}
    named = {
        "a group holds": ({m for g in diagram.groups for m in g.members}, nodes | groups),
        "an arrow comes from": ({a.source for a in diagram.arrows}, nodes | groups),
        "an arrow leads to": ({a.target for a in diagram.arrows}, nodes),
    }
    for how, (asked, known) in named.items():
        if asked - known:
            raise ValueError(
                f"diagram {diagram.name!r}: {how} {', '.join(sorted(asked - known))}, which is no such place"
            )
