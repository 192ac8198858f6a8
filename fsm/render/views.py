"""Views: which part of the machine a diagram shows."""

from collections.abc import Iterable

from fsm.render.model import Arrow, Caption, Diagram, Group, Node, Role, Tone
from fsm.spec import EDGES, Edge, Kind
from fsm.states import ACTIVE, ENDED, SETUP, Ending, State

BIRTH = "birth"
_TONES = {
    Ending.CONFIRMED: Tone.CONFIRMED,
    Ending.INFERRED: Tone.INFERRED,
    Ending.MANUAL: Tone.MANUAL,
}
_GROUPS: dict[str, tuple[State, ...]] = {"setup": SETUP, "active": ACTIVE, "ended": ENDED}


def whole() -> Diagram:
    """Every move of the machine."""
    return of("machine", "A replication job", "Every move that a job can make.", EDGES)


def of(name: str, title: str, description: str, edges: Iterable[Edge]) -> Diagram:
    """A diagram of the moves among `edges`, with all states that they touch."""
    moves = [e for e in edges if e.kind is Kind.MOVE]
    touched = {s for e in moves for s in (*e.sources, e.target)}
    nodes = [Node(BIRTH, "", Role.BIRTH)] if None in touched else []
    nodes += [Node(s.value, s.value, _role(s)) for s in State if s in touched]
    return Diagram(name, title, description, tuple(nodes), tuple(_arrows(moves)), tuple(_groups(moves)))


def _groups(moves: Iterable[Edge]) -> list[Group]:
    """The groups that an arrow leaves from."""
    asked = {_source(e) for e in moves}
    wanted = [name for name in _GROUPS if (name,) in asked]
    found: list[Group] = []
    for name in wanted:
        inside = [g for g in found if set(_GROUPS[g.id]) < set(_GROUPS[name])]
        taken = {s for g in inside for s in _GROUPS[g.id]}
        rest = [s.value for s in _GROUPS[name] if s not in taken]
        found.append(Group(name, name, (*(g.id for g in inside), *rest)))
    return found


def _source(edge: Edge) -> tuple[str, ...]:
    for name, members in _GROUPS.items():
        if edge.sources == members:
            return (name,)
    return tuple(s.value if s else BIRTH for s in edge.sources)


def _role(state: State) -> Role:
    if state in ENDED:
        return Role.ENDED
    return Role.SETUP if state in SETUP else Role.ACTIVE


def _arrows(moves: Iterable[Edge]) -> list[Arrow]:
    found: dict[tuple[str, str, Tone], list[Caption]] = {}
    for edge in moves:
        caption = Caption(edge.event.value, edge.name, tuple(g.says for g in edge.guards), edge.effects)
        for source in _source(edge):
            assert edge.target is not None  # noqa: S101 # a move has a target, for the type checker
            key = (source, edge.target.value, _tone(edge))
            found.setdefault(key, []).append(caption)
    return [Arrow(s, t, tone, tuple(captions)) for (s, t, tone), captions in found.items()]


def _tone(edge: Edge) -> Tone:
    if edge.ending is not None:
        return _TONES[edge.ending]
    return Tone.REVIVED if set(edge.sources) <= set(ENDED) else Tone.PLAIN
