"""The path of one job: what it really went through, as a diagram."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from fsm.render.build import BIRTH, role, tone
from fsm.render.model import Arrow, Caption, Diagram, Node, Role, Tone
from fsm.render.text import clean
from fsm.states import ENDED, Ending, State

MOST_STEPS: Final = 40  # on one picture: the last ones
MOST_ATTEMPTS: Final = 12


@dataclass(frozen=True, slots=True)
class Step:
    """One move from the history. States and endings by their names: those of an older release may be unknown."""

    from_state: str | None
    to_state: str
    event: str
    edge: str
    asked_by: str
    at: datetime
    ending: str | None = None
    actor: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """An event that was refused in `state`; `reason` is why."""

    state: str
    event: str
    asked_by: str
    reason: str
    at: datetime
    actor: str | None = None


def path(
    job_id: str,
    steps: Sequence[Step],
    now: datetime,
    *,
    state: str | None = None,
    attempts: Iterable[Attempt] = (),
    earlier: int = 0,
) -> Diagram:
    """The job's moves, numbered, first to last, and the times that it spent in each state, until `now`.

    `state` is where it is, by default where the last step led; `earlier` counts the moves before the first of `steps`.
    A long path shows its last MOST_STEPS moves. Attempts that are alike share an arrow.
    """
    shown = steps[-MOST_STEPS:]
    earlier += len(steps) - len(shown)
    refused = tuple(_alike(attempts))
    present = state or (shown[-1].to_state if shown else None)
    nodes = _nodes(shown, refused, present, now)
    title = f"Job {clean(job_id)}"
    arrows = (*_moves(shown, earlier), *map(_refused, refused[-MOST_ATTEMPTS:]))
    return Diagram(f"job-{clean(job_id)}", title, _description(present, shown, earlier, refused), nodes, arrows)


def _description(present: str | None, shown: Sequence[Step], earlier: int, refused: Sequence["_Refusal"]) -> str:
    words = [f"It is {present or 'nowhere'}, after {len(shown) + earlier} moves."]
    if earlier:
        words.append(f"The first {earlier} are not shown.")
    if len(refused) > MOST_ATTEMPTS:
        words.append(f"Of {len(refused)} kinds of refused attempts the last {MOST_ATTEMPTS} are shown.")
    return " ".join(words)


# --- states ------------------------------------------------------------------------------------------


def _nodes(
    steps: Sequence[Step], refused: Iterable["_Refusal"], present: str | None, now: datetime
) -> tuple[Node, ...]:
    seen = [s for step in steps for s in (step.from_state, step.to_state)]
    seen += [r.last.state for r in refused] + ([present] if present else [])
    birth = [Node(BIRTH, "", Role.BIRTH)] if None in seen else []
    known = [s.value for s in State if s in seen]
    foreign = [s for s in dict.fromkeys(seen) if s is not None and s not in known]
    return (*birth, *(_node(s, steps, present, now) for s in (*known, *foreign)))


def _node(state: str, steps: Sequence[Step], present: str | None, now: datetime) -> Node:
    lines = _stays(state, steps)
    if state == present and steps:
        since = steps[-1].at
        lines.append(f"since {_time(since)}" if state in list(ENDED) else f"for {span(now - since)} so far")
    kind = role(State(state)) if state in list(State) else Role.ACTIVE
    return Node(_id(state), clean(state), kind, tuple(lines), lit=state == present)


def _stays(state: str, steps: Sequence[Step]) -> list[str]:
    """How long the job was there before, and how often."""
    spans = [after.at - step.at for step, after in pairwise(steps) if step.to_state == state]
    entries = sum(step.to_state == state != step.from_state for step in steps)
    if not spans:
        return []
    times = f", {entries} visits" if entries > 1 else ""
    return [f"{span(sum(spans, timedelta(0)))}{times}"]


def _id(state: str) -> str:
    """A state of another release may be called as anything; some renderers know words of their own."""
    return (
        state if state in list(State) else "other_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in state)
    )


# --- arrows ------------------------------------------------------------------------------------------


def _moves(steps: Iterable[Step], earlier: int) -> Iterable[Arrow]:
    for number, step in enumerate(steps, earlier + 1):
        source = BIRTH if step.from_state is None else _id(step.from_state)
        caption = Caption(clean(step.event), clean(step.edge))
        note = f"{_who(step.asked_by, step.actor, step.reason)}, {_time(step.at)}"
        yield Arrow(source, _id(step.to_state), _tone(step), (caption,), number, note)


def _tone(step: Step) -> Tone:
    ending = Ending(step.ending) if step.ending in list(Ending) else None
    known = [State(step.from_state)] if step.from_state in list(State) else [None]
    return tone(ending, known)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Attempts that are alike: the last, and how many there were."""

    last: Attempt
    count: int


def _alike(attempts: Iterable[Attempt]) -> Iterable[_Refusal]:
    found: dict[tuple[str, str, str], _Refusal] = {}
    for attempt in sorted(attempts, key=lambda a: a.at):
        key = (attempt.state, attempt.event, attempt.reason)
        before = found.pop(key, None)
        found[key] = replace(before, last=attempt, count=before.count + 1) if before else _Refusal(attempt, 1)
    return found.values()


def _refused(refusal: _Refusal) -> Arrow:
    last = refusal.last
    times = f" ({refusal.count} times)" if refusal.count > 1 else ""
    note = f"{clean(last.reason)}{times}; {_who(last.asked_by, last.actor, None)}, {_time(last.at)}"
    here = _id(last.state)
    return Arrow(here, here, Tone.REFUSED, (Caption(clean(last.event), ""),), note=note)


def _who(asked_by: str, actor: str | None, reason: str | None) -> str:
    who = f"{asked_by} {actor}" if actor else asked_by
    return clean(f"{who}: {reason}" if reason else who)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def span(time: timedelta) -> str:
    """A span in at most two units: 45s, 12m 5s, 3h 20m, 2d 4h."""
    left = max(round(time.total_seconds()), 0)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    return " ".join(part for part in parts[:2] if part) or "0s"
