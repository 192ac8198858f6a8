"""The machine as a Mermaid state diagram: every transition of the specification, and no other."""

from collections.abc import Iterable, Iterator

from fsm.spec import EDGES, Edge, Kind
from fsm.states import ENDED, INITIAL, Ending, State


def mermaid(edges: Iterable[Edge] = EDGES) -> str:
    """All moves; one arrow per (from, to) pair, labelled with its events. Ends by inference are marked with (?)."""
    lines = ["stateDiagram-v2", f"    [*] --> {INITIAL}: create"]
    lines += [f"    {source} --> {target}: {label}" for source, target, label in _arrows(edges)]
    lines += [f"    {state} --> [*]" for state in ENDED]
    return "\n".join(lines) + "\n"


def _arrows(edges: Iterable[Edge]) -> Iterator[tuple[State, State, str]]:
    labels: dict[tuple[State, State], list[str]] = {}
    for edge in edges:
        for source in edge.sources:
            if edge.kind is Kind.MOVE and source is not None and edge.target is not None:
                label = edge.event + (" (?)" if edge.ending is Ending.INFERRED else "")
                known = labels.setdefault((source, edge.target), [])
                if label not in known:
                    known.append(label)
    for (source, target), names in labels.items():
        yield source, target, ", ".join(names)
