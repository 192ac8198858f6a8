"""Groups as languages of text nest them."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from fsm.render.model import Arrow, Diagram, Group, Node


def sections(
    diagram: Diagram,
    opened: Callable[[Group, int], list[str]],
    node: Callable[[Node, int], list[str]],
    closed: Callable[[Group, int], list[str]],
) -> Iterator[str]:
    """The lines of all groups and nodes, those within a group between its first line and its last."""
    groups = {group.id: group for group in diagram.groups}
    nodes = {n.id: n for n in diagram.nodes}
    held = {member for group in diagram.groups for member in group.members}

    def lines(member: str, depth: int) -> Iterator[str]:
        if member in nodes:
            yield from node(nodes[member], depth)
            return
        yield from opened(groups[member], depth)
        for inner in groups[member].members:
            yield from lines(inner, depth + 1)
        yield from closed(groups[member], depth)

    for member in (*nodes, *groups):
        if member not in held:
            yield from lines(member, 0)


def unnested(diagram: Diagram) -> Iterator[Arrow]:
    """The arrows. One from a group into itself, which Mermaid and Graphviz cannot draw, leaves from its nodes."""
    for arrow in diagram.arrows:
        within = members(diagram, arrow.source)
        if arrow.target in within:
            yield from (replace(arrow, source=member) for member in within)
        else:
            yield arrow


def members(diagram: Diagram, name: str) -> tuple[str, ...]:
    """The nodes of a group and of the groups in it; nothing for a node."""
    groups = {group.id: group for group in diagram.groups}
    if name not in groups:
        return ()
    return tuple(n for member in groups[name].members for n in (members(diagram, member) or (member,)))
