"""From edges of the specification to a diagram."""

from collections.abc import Iterable
from typing import Final

from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.render.limits import brief
from fsm.render.model import Arrow, Caption, Diagram, Group, Node, Role, Tone
from fsm.spec import Edge, Kind
from fsm.states import ACTIVE, ENDED, SETUP, Ending, State

BIRTH: Final = "birth"
_TONES: Final = {
    Ending.CONFIRMED: Tone.CONFIRMED,
    Ending.INFERRED: Tone.INFERRED,
    Ending.MANUAL: Tone.MANUAL,
}
_GROUPS: Final[dict[str, tuple[State, ...]]] = {"setup": SETUP, "active": ACTIVE, "ended": ENDED}


def of(
    name: str, title: str, description: str, edges: Iterable[Edge], policy: RecoveryPolicy = DEFAULT_POLICY
) -> Diagram:
    """A diagram of `edges`, with all states that they touch; edges that stay are events inside of their states."""
    table = tuple(edges)
    moves = [e for e in table if e.kind is Kind.MOVE]
    touched = {s for e in table for s in (*e.sources, e.target)}
    nodes = [Node(BIRTH, "", Role.BIRTH)] if any(None in e.sources for e in moves) else []
    nodes += [_node(s, table, policy) for s in State if s in touched]
    return Diagram(name, title, description, tuple(nodes), tuple(_arrows(moves, policy)), tuple(_groups(moves)))


def role(state: State) -> Role:
    """What kind of place a state is."""
    if state in ENDED:
        return Role.ENDED
    return Role.SETUP if state in SETUP else Role.ACTIVE


def tone(ending: Ending | None, sources: Iterable[State | None]) -> Tone:
    """How a move from one of `sources` is drawn."""
    if ending is not None:
        return _TONES[ending]
    return Tone.REVIVED if set(sources) <= set(ENDED) else Tone.PLAIN


def _node(state: State, table: Iterable[Edge], policy: RecoveryPolicy) -> Node:
    inner = (_caption(e, policy) for e in table if e.kind is not Kind.MOVE and state in e.sources)
    return Node(state.value, state.value, role(state), inner=tuple(inner))


def _caption(edge: Edge, policy: RecoveryPolicy) -> Caption:
    guards = tuple(brief(guard, edge, policy) for guard in edge.guards)
    effects = [effect.replace("_", " ") for effect in edge.effects]
    if edge.attention:
        effects.append(f"call an operator ({edge.attention})")
    outcome = {Kind.MOVE: "", Kind.STAY: "stays", Kind.IGNORE: "ignored"}[edge.kind]
    return Caption(edge.event.value, edge.name, guards, tuple(effects), outcome)


def _arrows(moves: Iterable[Edge], policy: RecoveryPolicy) -> list[Arrow]:
    found: dict[tuple[str, str, Tone], list[Caption]] = {}
    for edge in moves:
        caption = _caption(edge, policy)
        for source in _source(edge):
            assert edge.target is not None  # noqa: S101 # a move has a target, for the type checker
            key = (source, edge.target.value, tone(edge.ending, edge.sources))
            found.setdefault(key, []).append(caption)
    return [Arrow(s, t, how, tuple(captions)) for (s, t, how), captions in found.items()]


def _source(edge: Edge) -> tuple[str, ...]:
    for name, members in _GROUPS.items():
        if edge.sources == members:
            return (name,)
    return tuple(s.value if s else BIRTH for s in edge.sources)


def _groups(moves: Iterable[Edge]) -> list[Group]:
    """The groups that an arrow leaves from."""
    asked = {_source(e) for e in moves}
    found: list[Group] = []
    for name in (name for name in _GROUPS if (name,) in asked):
        inside = [g for g in found if set(_GROUPS[g.id]) < set(_GROUPS[name])]
        taken = {s for g in inside for s in _GROUPS[g.id]}
        rest = [s.value for s in _GROUPS[name] if s not in taken]
        found.append(Group(name, name, (*(g.id for g in inside), *rest)))
    return found
