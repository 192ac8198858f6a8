"""The specification as plain JSON, so that another release can be told what has changed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from fsm.guard import Guard
from fsm.spec import EDGES, Edge, spec_hash
from fsm.states import ENDED, SETUP, Event, State

Snapshot = dict[str, Any]
FORMAT: Final = 1
PARTS: Final = ("states", "events", "guards", "edges")


class SnapshotError(ValueError):
    """Something that is no snapshot of a specification."""


class Change(StrEnum):
    """What became of one thing between two specifications."""

    REMOVED = "removed"
    ADDED = "added"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two specifications do not agree on. `part`: state, event, guard or edge."""

    change: Change
    part: str
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.change} {self.part} {self.name}" + (f": {self.detail}" if self.detail else "")


def snapshot(edges: Iterable[Edge] = EDGES) -> Snapshot:
    """All of it, by name. `hash` is that of this release's own table, whatever `edges` are."""
    table = tuple(edges)
    guards = {m.name: m for e in table for g in e.guards for m in g.family()}
    return {
        "format": FORMAT,
        "hash": spec_hash(),
        "states": {s.value: {"is": _stands(s)} for s in State},
        "events": {
            e.value: {"from": sorted({_named(s) for x in table if x.event is e for s in x.sources})} for e in Event
        },
        "guards": {name: _guard(guards[name]) for name in sorted(guards)},
        "edges": {edge.name: _edge(edge) for edge in table},
    }


def _stands(state: State) -> str:
    return "ended" if state in ENDED else "set-up" if state in SETUP else "active"


def _named(state: State | None) -> str:
    return "(new)" if state is None else state.value


def _guard(guard: Guard) -> dict[str, str]:
    return {"says": guard.says, "is": guard.formula}


def _edge(edge: Edge) -> dict[str, Any]:
    return {
        "event": edge.event.value,
        "from": [_named(s) for s in edge.sources],
        "to": None if edge.target is None else edge.target.value,
        "kind": edge.kind.value,
        "guards": [g.name for g in edge.guards],
        "effects": [e.value for e in edge.effects],
        "ending": None if edge.ending is None else edge.ending.value,
        "reason": edge.reason,
        "attention": None if edge.attention is None else edge.attention.value,
        "why": edge.why,
    }


def require_snapshot(found: object) -> Snapshot:
    """`found` if it is a snapshot that this release can read, else SnapshotError with what is wrong."""
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise SnapshotError(f"not a specification as `oma-fsm spec show --json` prints it (format {FORMAT})")
    for part in PARTS:
        things = found.get(part)
        if not isinstance(things, dict) or not all(isinstance(thing, dict) for thing in things.values()):
            raise SnapshotError(f"a specification without {part}")
    return found


def diff(old: Snapshot, new: Snapshot) -> tuple[Difference, ...]:
    """What the new specification has no more, has more, and has otherwise; states first, edges last. SnapshotError."""
    before, after = require_snapshot(old), require_snapshot(new)
    return tuple(found for part in PARTS for found in _diff_part(part.removesuffix("s"), before[part], after[part]))


def removed_states(differences: Iterable[Difference]) -> tuple[str, ...]:
    """The states that the new specification does not know any more."""
    return tuple(d.name for d in differences if d.part == "state" and d.change is Change.REMOVED)


def _diff_part(part: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    yield from (Difference(Change.REMOVED, part, name, _summary(old[name])) for name in old if name not in new)
    yield from (Difference(Change.ADDED, part, name, _summary(new[name])) for name in new if name not in old)
    for name in old:
        if name in new and old[name] != new[name]:
            yield Difference(Change.CHANGED, part, name, _details(old[name], new[name]))


def _summary(thing: Mapping[str, Any]) -> str:
    if "event" not in thing:
        return ""
    return f"{thing['event']}, from {_text(thing.get('from'))} to {_text(thing.get('to'))}"


def _details(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    keys = [key for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)]
    return "; ".join(f"{key} was {_text(old.get(key))}, is {_text(new.get(key))}" for key in keys)


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    return "nothing" if value in (None, "") else str(value)
