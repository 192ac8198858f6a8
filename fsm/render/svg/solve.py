"""Heights on the page: the least that satisfy "this at least so far below that"."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from math import inf

Var = tuple[str, str | int]  # ("top", node or group), ("bottom", …), ("row", arrow), ("port", arrow)


@dataclass(slots=True)
class System:
    """Lower bounds between variables."""

    floors: dict[Var, float] = field(default_factory=dict)
    above: dict[Var, list[tuple[Var, float]]] = field(default_factory=dict)
    below: dict[Var, list[tuple[Var, float]]] = field(default_factory=dict)

    def floor(self, var: Var, least: float) -> None:
        """`var` is at least this far down the page."""
        self.floors[var] = max(least, self.floors.get(var, 0))

    def apart(self, upper: Var, lower: Var, least: float) -> None:
        """`lower` is at least this far below `upper`."""
        self.floor(upper, 0)
        self.floor(lower, 0)
        self.above.setdefault(lower, []).append((upper, least))
        self.below.setdefault(upper, []).append((lower, least))

    def solve(self) -> dict[Var, float]:
        """The least heights. Raises graphlib.CycleError if bounds contradict each other."""
        order = TopologicalSorter({v: [u for u, _ in self.above.get(v, ())] for v in self.floors}).static_order()
        found: dict[Var, float] = {}
        for var in order:
            found[var] = max([self.floors[var], *(found[u] + least for u, least in self.above.get(var, ()))])
        return found

    def limit(self, found: Mapping[Var, float], var: Var, apart_from: Collection[Var] = ()) -> float:
        """How low `var` may be for what is below it."""
        below = (found[lower] - least for lower, least in self.below.get(var, ()) if lower not in apart_from)
        return min(below, default=found[var])

    def sink(self, found: dict[Var, float], var: Var, cap: float = inf) -> None:
        """Lowers `var` as far as what is below it lets it, but not below `cap`."""
        found[var] = max(found[var], min(self.limit(found, var), cap))
