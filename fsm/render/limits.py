"""What guards say in words, with the numbers that they go by."""

import re
from collections.abc import Iterable
from typing import Any

from fsm.guard import Guard, Join, turned_round
from fsm.policy import RecoveryPolicy
from fsm.spec import Edge
from fsm.states import Event, State
from fsm.witnesses import plain


def brief(guard: Guard, edge: Edge, policy: RecoveryPolicy) -> str:
    """The guard's words and its limits: `silent for too long, outage ripe (>= 30m, >= 3 like answers over 1m)`."""
    limits = ", ".join(_limits(guard, edge.sources, edge.event, policy))
    if not limits:
        return guard.says
    turned = "not: " if guard.join is Join.NOT and guard.parts[0].parts else ""
    return f"{guard.says} ({turned}{limits})"


def _limits(guard: Guard, *cell: Any) -> list[str]:
    own = limit_of(guard, *cell)
    return [own] if own else [limit for part in guard.parts for limit in _limits(part, *cell)]


def numbered(guard: Guard, edge: Edge, policy: RecoveryPolicy) -> str:
    """The numbers that the guard goes by, each with the part that wants it; empty if it goes by none."""
    cell = edge.sources, edge.event, policy
    if not any(limit_of(part, *cell) for part in guard.family()):
        return ""
    return f" ({limit_of(guard, *cell) or _formula(guard, *cell)})"


def _formula(guard: Guard, *cell: Any) -> str:
    limit = limit_of(guard, *cell)
    if limit or not guard.parts:
        return f"`{guard.name}` {limit}".rstrip()
    if guard.join is Join.NOT:
        return f"not ({_formula(guard.parts[0], *cell)})"
    parts = [f"({text})" if _joins(x) else text for x in guard.parts if (text := _formula(x, *cell))]
    return f" {guard.join} ".join(parts)


def _joins(guard: Guard) -> bool:
    return guard.join in (Join.AND, Join.OR)


def limit_of(guard: Guard, sources: Iterable[State | None], event: Event, policy: RecoveryPolicy) -> str:
    """The guard's limit, where it is a number; one for each state where they differ. Turned round by a negation."""
    if guard.join is Join.NOT:
        return turned_round(limit_of(guard.parts[0], sources, event, policy))
    limits = {} if guard.parts else {s: guard(plain(s, event, policy)).limit for s in sources}
    if not any(re.search(r"\d", limit) for limit in limits.values()):
        return ""
    if len(set(limits.values())) == 1:
        return next(iter(limits.values()))
    return ", ".join(f"{state} {limit}" for state, limit in limits.items())
