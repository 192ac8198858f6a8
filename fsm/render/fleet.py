"""All jobs at once: how many stand where, how long they stay, and where they fail, as a diagram."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Final

from fsm.render.build import BIRTH, role, tone
from fsm.render.model import Arrow, Caption, Diagram, Node, Role, Tone
from fsm.render.path import span
from fsm.states import ENDED, Ending, State

_TROUBLE: Final = (Tone.INFERRED, Tone.REVIVED)


@dataclass(frozen=True, slots=True)
class Traffic:
    """How often jobs went over one edge from one state to another."""

    from_state: str | None
    to_state: str
    event: str
    edge: str
    ending: str | None
    count: int


def fleet(jobs: Mapping[str, int], stays: Mapping[str, Sequence[timedelta]], traffic: Iterable[Traffic]) -> Diagram:
    """`jobs` per state; `stays`: spans that jobs which moved on had spent in a state; `traffic` of a period.

    An arrow is hot if it leads to a failure or is a matter of inference: the hottest is the busiest of these.
    """
    moves = tuple(t for t in traffic if t.to_state in list(State))
    total, moved = sum(jobs.values()), sum(t.count for t in moves)
    text = (
        f"{_many(total, 'job')}; {_many(moved, 'move')} counted. An arrow is the hotter, the more jobs failed over it, "
        "or were ended by inference or revived."
    )
    nodes = (_node(state, jobs.get(state.value, 0), stays.get(state.value, ())) for state in State)
    birth = [Node(BIRTH, "", Role.BIRTH)] if any(t.from_state is None for t in moves) else []
    return Diagram("fleet", "All replication jobs", text, (*birth, *nodes), tuple(_heated(_arrows(moves))))


def _node(state: State, jobs: int, stays: Sequence[timedelta]) -> Node:
    lines = [_many(jobs, "job")]
    if stays:
        how = "overturned after" if state in ENDED else "stays"
        lines.append(f"{how} {span(_median(stays))} (median)")
    return Node(state.value, state.value, role(state), tuple(lines))


def _median(spans: Iterable[timedelta]) -> timedelta:
    return timedelta(seconds=median(s.total_seconds() for s in spans))


def _arrows(moves: Iterable[Traffic]) -> dict[tuple[str, str, Tone], list[Traffic]]:
    """In the order of a job's life, so that what the database gives first does not matter."""
    order = [None, *State]
    found: dict[tuple[str, str, Tone], list[Traffic]] = {}
    known = (t for t in moves if t.from_state in order)
    for one in sorted(known, key=lambda t: (order.index(t.from_state), order.index(t.to_state), t.edge)):
        ending = Ending(one.ending) if one.ending in list(Ending) else None
        how = tone(ending, [State(one.from_state) if one.from_state else None])
        found.setdefault((one.from_state or BIRTH, one.to_state, how), []).append(one)
    return found


def _heated(found: Mapping[tuple[str, str, Tone], list[Traffic]]) -> Iterable[Arrow]:
    counts = {key: sum(one.count for one in group) for key, group in found.items()}
    hottest = max((count for key, count in counts.items() if _troubles(*key)), default=0)
    for (source, target, how), group in found.items():
        count = counts[source, target, how]
        heat = count / hottest if _troubles(source, target, how) else None
        captions = tuple(Caption(one.event, one.edge) for one in group)
        yield Arrow(source, target, how, captions, note=_note(count, group), heat=heat)


def _troubles(_source: str, target: str, how: Tone) -> bool:
    return target == State.FAILED or how in _TROUBLE


def _note(count: int, group: Sequence[Traffic]) -> str:
    if len(group) == 1:
        return _times(count)
    return f"{_times(count)} ({', '.join(f'{one.edge} {one.count}' for one in group)})"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
