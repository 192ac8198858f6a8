"""What a guard is: its verdict says what it saw, what it wants, and when time alone would change it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

from fsm.clock import ZERO
from fsm.facts import Situation, later

_TENTH = timedelta(milliseconds=100)
_TRIES = 1000  # each a limit further on, and the least limits are seconds


class GuardVerdict(Struct, frozen=True, gc=False):
    """One guard's answer. `flips_at` is the instant at which time alone changes it, if it ever does."""

    name: str
    passed: bool
    observed: str
    limit: str
    flips_at: datetime | None = None

    @property
    def becomes_true_at(self) -> datetime | None:
        """When a refused guard will pass by the clock alone."""
        return None if self.passed else self.flips_at

    def __str__(self) -> str:
        if self.observed == self.limit:
            return f"{self.name}: {self.observed}"
        at = self.flips_at
        said = f"{self.name}: wants {self.limit}, is {self.observed}"
        if at is None or self.passed:
            return said
        when = f", from {at.astimezone(UTC).isoformat(' ', 'seconds')[:-6]}Z on"
        return said if when in self.observed else said + when


class Sight(Struct, frozen=True, gc=False):
    """What a guard saw and what it wants, in words, and when time alone would change its answer."""

    observed: str
    limit: str
    flips_at: datetime | None = None


class Join(StrEnum):
    """How a guard is made of its parts."""

    NOT = "not"
    AND = "and"
    OR = "or"


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """A named condition of an edge. `says` is its text in diagrams and tables; `parts` are the guards it is made of.

    `test` decides; `sight` puts the same into words, which only those pay for who read them.
    """

    name: str
    says: str
    test: Callable[[Situation], bool]
    sight: Callable[[Situation], Sight]
    join: Join | None = None
    parts: tuple["Guard", ...] = ()

    def passes(self, situation: Situation) -> bool:
        """Judge the situation; a guard that has judged it already says the same again."""
        passed: bool | None = situation.said.get(self)
        if passed is None:
            passed = situation.said[self] = self.test(situation)
        return passed

    def __call__(self, situation: Situation) -> GuardVerdict:
        """The judgement with its reasons; found once in one situation."""
        said = situation.said
        verdict: GuardVerdict | None = said.get((self,))
        if verdict is None:
            seen = self.sight(situation)
            passed = said[self] if self in said else self.passes(situation)
            said[self,] = verdict = GuardVerdict(self.name, passed, seen.observed, seen.limit, seen.flips_at)
        return verdict

    @property
    def formula(self) -> str:
        """What it is made of, by name; empty for a guard without parts."""
        names = [part.name for part in self.parts]
        return f"not {names[0]}" if self.join is Join.NOT else f" {self.join} ".join(names)

    def family(self) -> Iterator["Guard"]:
        """The guard, and all that it is made of."""
        yield self
        for part in self.parts:
            yield from part.family()


def negation(guard: Guard, name: str, says: str) -> Guard:
    """The guard that passes exactly when the other does not."""

    def sight(situation: Situation) -> Sight:
        seen = guard(situation)
        turned = turned_round(seen.limit)
        return Sight(seen.observed, says if turned == seen.limit else turned, seen.flips_at)

    return Guard(name, says, lambda s: not guard.passes(s), sight, Join.NOT, (guard,))


@lru_cache
def turned_round(limit: str) -> str:
    """The limit of a guard's negation, where it is a number: `< 15m` for `>= 15m`."""
    return re.sub(r">(=?)", lambda found: "<" if found[1] else "<=", limit)


def conjunction(name: str, says: str, *guards: Guard) -> Guard:
    """The guard that passes if all the others do; it reports those that do not, or else all."""

    def test(situation: Situation) -> bool:
        return all(guard.passes(situation) for guard in guards)

    def sight(situation: Situation) -> Sight:
        failed = [guard(situation) for guard in guards if not guard.passes(situation)]
        if not failed:
            return Sight(_told([guard(situation) for guard in guards]), says)
        flips = [v.flips_at for v in failed if v.flips_at is not None]
        return Sight(_told(failed), says, max(flips) if len(flips) == len(failed) else None)

    return Guard(name, says, test, sight, Join.AND, guards)


def disjunction(name: str, says: str, *guards: Guard) -> Guard:
    """The guard that passes if any of the others does; it reports those that do, or else all."""

    def test(situation: Situation) -> bool:
        return any(guard.passes(situation) for guard in guards)

    def sight(situation: Situation) -> Sight:
        passed = [guard(situation) for guard in guards if guard.passes(situation)]
        if passed:
            return Sight(_told(passed), says)
        failed = [guard(situation) for guard in guards]
        flips = [v.flips_at for v in failed if v.flips_at is not None]
        return Sight(_told(failed), says, min(flips, default=None))

    return Guard(name, says, test, sight, Join.OR, guards)


def _told(verdicts: list[GuardVerdict]) -> str:
    return "; ".join([str(v) for v in verdicts])


def plain_guard(name: str, says: str, test: Callable[[Situation], bool], otherwise: str) -> Guard:
    """A guard on a fact: `test` holds, or what is so `otherwise`."""
    holds, fails = Sight(says, says), Sight(otherwise, says)
    return Guard(name, says, test, lambda s: holds if test(s) else fails)


def age_guard(
    name: str,
    says: str,
    age: Callable[[Situation], timedelta],
    limit: Callable[[Situation], timedelta],
) -> Guard:
    """A guard that passes once an age has reached its limit (exactly the limit is past it)."""

    def sight(situation: Situation) -> Sight:
        have, want = age(situation), limit(situation)
        at = situation.now + (want - have) if have < want else None
        if at is not None and (not have or (situation.evidence is not None and situation.evidence.steps)):
            at = reached(situation, at)
        return Sight(age_of(have), f">= {duration(want)}", at)

    def reached(situation: Situation, at: datetime) -> datetime | None:
        """A time that lies ahead, or a clock that was set back: the age does not grow all the way, or falls on it."""
        for _ in range(_TRIES):
            then = later(situation, at - situation.now)
            missing = limit(then) - age(then)
            if missing <= ZERO:
                return at
            at += missing
        return None

    return Guard(name, says, lambda s: age(s) >= limit(s), sight)


@lru_cache
def age_of(span: timedelta) -> str:
    """An age as an operator reads it, to tenths of a second: one just short of its limit is never shown as if at it."""
    return duration(span - span % _TENTH)


@lru_cache
def duration(span: timedelta) -> str:
    """A span as settings write it, exactly: 90s, 30m, 2h, 1.234s."""
    seconds = span // timedelta(seconds=1)
    for unit, size in (("h", 3600), ("m", 60)):
        if not span.microseconds and seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    fraction = f".{span.microseconds:06}".rstrip("0") if span.microseconds else ""
    return f"{seconds}{fraction}s"
