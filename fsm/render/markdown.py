"""The machine as a page: states, events, edges, guards and numbers, all from the specification."""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from fsm import guards as g
from fsm.guard import Guard, duration
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.render.limits import limit_of, numbered
from fsm.render.mermaid import mermaid
from fsm.render.table import markdown_table
from fsm.render.views import whole
from fsm.spec import EDGES, Edge, Kind, spec_hash
from fsm.states import ENDED, SETUP, VMA_EVENTS, Ending, Event, State

NEW: Final = "(new)"
_HEAD: Final = """\
# The machine

Generated from `fsm/spec.py` (specification `{hash}`) by `oma-fsm spec page docs/machine.md`; do not edit it by hand.
`./run check` compares it byte for byte.

```mermaid
{diagram}```
"""
_EDGES: Final = """\
Of the edges of a job's state and event at most one passes: `oma-fsm spec check` tries every guard's witnesses.
An answer of the VMA (`vma_…`) always has one; any other event without one is refused, with every guard that failed.
*stays* and *ignored* are answers, too. Numbers are those of the default policy.
"""


def page(edges: Iterable[Edge] = EDGES, policy: RecoveryPolicy = DEFAULT_POLICY) -> str:
    """The whole page; the same bytes for the same specification and policy."""
    table = tuple(edges)
    sections = (
        _HEAD.format(hash=spec_hash(), diagram=mermaid(whole(policy))),
        "## States\n\n" + markdown_table(("state", "is", "comes from", "moved out by"), _states(table)),
        "## Events\n\n" + markdown_table(("event", "fired by", "known in"), _events(table)),
        "## Edges\n\n" + _EDGES,
        *_edge_sections(table, policy),
        "## Guards\n\n" + markdown_table(("guard", "passes if", "wants", "made of"), _guards(table, policy)),
        "## Numbers\n\n" + markdown_table(("setting", "default", "meaning"), _numbers(policy)),
    )
    return "\n".join(sections)


def _code(names: Iterable[object]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# --- states and events -----------------------------------------------------------------------------


def _states(table: tuple[Edge, ...]) -> Iterator[tuple[str, ...]]:
    for state in State:
        stands = "ended" if state in ENDED else "set-up, active" if state in SETUP else "active"
        origins = (s or NEW for e in table if e.target is state for s in e.sources)
        yield f"`{state}`", stands, _code(dict.fromkeys(origins)), _movers(state, table)


def _movers(state: State, table: tuple[Edge, ...]) -> str:
    found: dict[str, list[Event]] = {}
    for edge in (e for e in table if state in e.sources and e.kind is Kind.MOVE):
        events = found.setdefault(_mover(edge), [])
        if edge.event not in events:
            events.append(edge.event)
    return "; ".join(f"{who} ({_code(events)})" for who, events in found.items())


def _mover(edge: Edge) -> str:
    if edge.event in VMA_EVENTS:
        return "time and silence" if edge.ending is Ending.INFERRED else "the VMA"
    return "an operator" if g.by_operator in edge.guards else "the workflow"


def _events(table: tuple[Edge, ...]) -> Iterator[tuple[str, ...]]:
    for event in Event:
        here = [e for e in table if e.event is event]
        who = "an answer of the VMA" if event in VMA_EVENTS else " or ".join(dict.fromkeys(map(_mover, here)))
        yield f"`{event}`", who, _known_in({s for e in here for s in e.sources})


def _known_in(states: set[State | None]) -> str:
    known = [s or NEW for s in (None, *State) if s in states]
    return "every state" if set(known) == set(State) else _code(known)


# --- edges ------------------------------------------------------------------------------------------


def _edge_sections(table: tuple[Edge, ...], policy: RecoveryPolicy) -> Iterator[str]:
    head = ("from", "guards", "to", "effects", "why", "edge")
    for event in Event:
        rows = [_edge(e, policy) for e in table if e.event is event]
        if rows:
            yield f"### {event}\n\n" + markdown_table(head, rows)


def _edge(edge: Edge, policy: RecoveryPolicy) -> tuple[str, ...]:
    guards = "; ".join(f"{x.says}{numbered(x, edge, policy)}" for x in edge.guards)
    effects = ", ".join(effect.replace("_", " ") for effect in edge.effects)
    sources = _code(s or NEW for s in edge.sources)
    return sources, guards, _outcome(edge), effects, edge.why, f"`{edge.name}`"


def _outcome(edge: Edge) -> str:
    if edge.kind is Kind.MOVE:
        text = f"`{edge.target}`" + (f", {edge.ending}" if edge.ending else "")
        return text + (f' ("{edge.reason}")' if edge.reason else "")
    calls = f", calls an operator ({edge.attention})" if edge.attention else ""
    return ("stays" if edge.kind is Kind.STAY else "ignored") + calls


# --- guards and numbers ----------------------------------------------------------------------------


def _guards(table: tuple[Edge, ...], policy: RecoveryPolicy) -> Iterator[tuple[str, ...]]:
    used: dict[str, tuple[Guard, Edge]] = {}
    for edge in table:
        for guard in (member for x in edge.guards for member in x.family()):
            used.setdefault(guard.name, (guard, edge))
    for name, (guard, edge) in sorted(used.items()):
        wants = limit_of(guard, edge.sources, edge.event, policy)
        yield f"`{name}`", guard.says, wants, re.sub(r"\b(?!not\b|and\b|or\b)\w+", r"`\g<0>`", guard.formula)


def _numbers(policy: RecoveryPolicy) -> Iterator[tuple[str, ...]]:
    for name, field in type(policy).model_fields.items():
        value = getattr(policy, name)
        yield f"`{name}`", duration(value) if isinstance(value, timedelta) else f"{value:g}", field.description or ""
