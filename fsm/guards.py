"""The guards: each gives a verdict with what it saw, what it wants, and when time alone would change it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from fsm.facts import Situation
from fsm.states import SETUP, Asker, Ending, Verdict


@dataclass(frozen=True, slots=True)
class GuardVerdict:
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
        at = self.becomes_true_at
        when = "" if at is None else f", from {at.replace(tzinfo=None).isoformat(' ', 'seconds')}Z on"
        return f"{self.name}: wants {self.limit}, is {self.observed}{when}"


class Check(NamedTuple):
    """A guard's finding, before it has a name."""

    passed: bool
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
    """A named condition of an edge. `says` is its text in diagrams and tables; `parts` are the guards it is made of."""

    name: str
    says: str
    check: Callable[[Situation], Check]
    join: Join | None = None
    parts: tuple["Guard", ...] = ()

    def __call__(self, situation: Situation) -> GuardVerdict:
        """Judge the situation; a guard that has judged it already says the same again."""
        verdict: GuardVerdict | None = situation.said.get(self)
        if verdict is None:
            found = self.check(situation)
            verdict = GuardVerdict(self.name, *found)
            situation.said[self] = verdict
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

    def check(situation: Situation) -> Check:
        found = guard(situation)
        return Check(not found.passed, found.observed, says, found.flips_at)

    return Guard(name, says, check, Join.NOT, (guard,))


def conjunction(name: str, says: str, *guards: Guard) -> Guard:
    """The guard that passes if all the others do; it reports those that do not."""

    def check(situation: Situation) -> Check:
        found = [g(situation) for g in guards]
        failed = [v for v in found if not v.passed]
        flips = [v.flips_at for v in (failed or found)]
        known = [f for f in flips if f is not None]
        at = max(known) if failed and len(known) == len(flips) else None
        return Check(not failed, "; ".join(map(str, failed)) or "so", says, at)

    return Guard(name, says, check, Join.AND, guards)


def disjunction(name: str, says: str, *guards: Guard) -> Guard:
    """The guard that passes if any of the others does."""

    def check(situation: Situation) -> Check:
        found = [g(situation) for g in guards]
        flips = [v.flips_at for v in found if v.flips_at is not None]
        passed = [v.name for v in found if v.passed]
        at = None if passed else min(flips, default=None)
        return Check(bool(passed), ", ".join(passed) or "neither", says, at)

    return Guard(name, says, check, Join.OR, guards)


def _plain(name: str, says: str, test: Callable[[Situation], bool], otherwise: str) -> Guard:
    holds, fails = Check(True, says, says), Check(False, otherwise, says)
    return Guard(name, says, lambda s: holds if test(s) else fails)


def _aged(
    name: str,
    says: str,
    age: Callable[[Situation], timedelta],
    limit: Callable[[Situation], timedelta],
) -> Guard:
    """A guard that passes once an age has reached its limit (exactly the limit is past it)."""

    def check(situation: Situation) -> Check:
        have, want = age(situation), limit(situation)
        ahead = situation.now + (want - have) if have < want else None
        return Check(have >= want, duration(have), f">= {duration(want)}", ahead)

    return Guard(name, says, check)


@lru_cache
def duration(span: timedelta) -> str:
    """A span as an operator reads it: 90s, 30m, 2h."""
    seconds = span.total_seconds()
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{round(seconds, 1):.12g}s"


# --- facts about the job -------------------------------------------------------------------------

has_disks: Final = Guard(
    "has_disks",
    "the job has disks",
    lambda s: Check(bool(s.facts.disks), f"{len(s.facts.disks)} disks", ">= 1 disk"),
)


def _volumes(s: Situation) -> Check:
    missing = [d.disk_id for d in s.facts.disks if d.volume_id is None]
    known = bool(s.facts.disks) and not missing
    observed = "no volume for " + ", ".join(missing) if missing else f"{len(s.facts.disks)} disks"
    return Check(known, observed, "a volume for every disk")


volumes_recorded: Final = Guard("volumes_recorded", "every disk has a volume", _volumes)
vm_not_taken: Final = _plain(
    "vm_not_taken", "no newer job of the VM", lambda s: not s.facts.vm_taken, "a newer job of the VM exists"
)
vm_taken: Final = negation(vm_not_taken, "vm_taken", "a newer job of the VM exists")
inferred: Final = Guard(
    "inferred",
    "the end is inferred",
    lambda s: Check(s.facts.ending is Ending.INFERRED, f"{s.facts.ending} end", "an inferred end"),
)
revisable: Final = Guard(
    "revisable",
    "the end is inferred or manual",
    lambda s: Check(
        s.facts.ending in (Ending.INFERRED, Ending.MANUAL),
        f"{s.facts.ending} end",
        "an inferred or manual end",
    ),
)
ended_in_setup: Final = _plain(
    "ended_in_setup",
    "it ended in a set-up state",
    lambda s: s.facts.memory.ended_from in SETUP,
    "it ended while replicating",
)

# --- a VM about to get a new job --------------------------------------------------------------------

vm_idle: Final = Guard(
    "vm_idle",
    "the VM has no unfinished job",
    lambda s: Check(s.vm.unfinished_job is None, s.vm.unfinished_job or "none", "no unfinished job of the VM"),
)


def _watched_says(s: Situation) -> Check:
    limit = "the VM's last copy, whose end was only inferred, answers and does not run"
    if s.vm.watched_job is None:
        return Check(True, "no inferred end under watch", limit)
    fine = s.vm.watched_verdict not in (Verdict.RUNNING, Verdict.UNREACHABLE, None)
    return Check(fine, f"{s.vm.watched_job} is {s.vm.watched_verdict or 'not asked'}", limit)


last_copy_over: Final = Guard("last_copy_over", "an inferred end of the VM was asked about, and is over", _watched_says)

# --- the watch over an inferred end --------------------------------------------------------------

watch_open: Final = _plain("watch_open", "under watch", lambda s: s.facts.watched, "not under watch")
not_watched: Final = negation(watch_open, "not_watched", "not under watch")


def _watch_spent(s: Situation) -> Check:
    have = timedelta(seconds=s.facts.memory.watched_seconds)
    want = s.policy.watch_for
    return Check(have >= want, f"answered for {duration(have)}", f">= {duration(want)}")


watch_spent: Final = Guard("watch_spent", "the VMA has answered for watch_for", _watch_spent)
under_watch: Final = conjunction(
    "under_watch", "under watch", watch_open, negation(watch_spent, "watch_runs", "the watch is not over")
)

# --- silence -------------------------------------------------------------------------------------


def _streak(name: str, says: str, kind: str) -> Guard:
    def check(s: Situation) -> Check:
        streak = getattr(s.facts.memory, kind)
        count, span = (0, 0.0) if streak is None else (streak.count, streak.span)
        want = s.policy.inference_ripe
        ripe = not want or (count >= s.policy.inference_answers and span >= want.total_seconds())
        limit = f">= {s.policy.inference_answers} like answers over {duration(want)}"
        return Check(ripe, f"{count} over {duration(timedelta(seconds=span))}", limit)

    return Guard(name, says, check)


absence_ripe: Final = _streak("absence_ripe", "like not-founds, enough and spread", "not_found")
outage_ripe: Final = _streak("outage_ripe", "like outages, enough and spread", "unreachable")
polled_long_enough: Final = _aged(
    "polled_long_enough",
    "polled for polling_grace",
    lambda s: s.observed_age(s.facts.polling_since or s.facts.created_at),
    lambda s: s.policy.polling_grace,
)
was_seen: Final = _plain(
    "was_seen", "the VMA has known the job", lambda s: s.facts.heard_at is not None, "never seen by the VMA"
)
had_time_to_post: Final = _aged(
    "had_time_to_post",
    "replicating for absence_grace",
    lambda s: s.age(s.facts.entered_at),
    lambda s: s.policy.absence_grace,
)
not_just_started: Final = disjunction(
    "not_just_started", "seen before, or replicating for absence_grace", was_seen, had_time_to_post
)
lost: Final = conjunction(
    "lost",
    "absence ripe, polled long enough, not just started",
    absence_ripe,
    polled_long_enough,
    not_just_started,
)
not_lost: Final = negation(lost, "not_lost", "too early to call the job lost")
setup_timed_out: Final = _aged(
    "setup_timed_out",
    "past the grace of the state",
    lambda s: s.observed_age(s.facts.entered_at),
    lambda s: s.policy.setup_grace(s.facts.state),
)
in_setup_grace: Final = negation(setup_timed_out, "in_setup_grace", "within the grace of the state")
silent_too_long: Final = _aged(
    "silent_too_long",
    "last sign of life unreachable_after ago",
    lambda s: s.age(s.facts.last_sign_of_life),
    lambda s: s.policy.unreachable_after,
)
given_up: Final = conjunction("given_up", "silent for too long, outage ripe", silent_too_long, outage_ripe)
not_given_up: Final = negation(given_up, "not_given_up", "too early to give the job up")

# --- progress and unproven completion ------------------------------------------------------------

nearly_done: Final = Guard(
    "nearly_done",
    "progress > nearly_done_percent",
    lambda s: Check(
        s.facts.percent > s.policy.nearly_done_percent,
        f"{s.facts.percent:g} %",
        f"> {s.policy.nearly_done_percent:g} %",
    ),
)
not_nearly_done: Final = negation(nearly_done, "not_nearly_done", "progress <= nearly_done_percent")
own_key_completed: Final = _plain(
    "own_key_completed",
    "the job's own key says completed",
    lambda s: s.facts.memory.own_key_completed,
    "the job's own key does not say completed",
)
own_key_not_completed: Final = negation(
    own_key_completed, "own_key_not_completed", "the job's own key does not say completed"
)


def _settled_age(s: Situation) -> timedelta:
    still = s.facts.memory.settling
    return timedelta(0) if still is None else s.age(still.since)


settled: Final = _aged("settled", "unchanged for completion_settle", _settled_age, lambda s: s.policy.completion_settle)
not_settled: Final = negation(settled, "not_settled", "unchanged for less than completion_settle")


def _unfinished(s: Situation) -> Check:
    short = [d.disk_id for d in s.facts.memory.disks if d.unfinished and not d.proven]
    return Check(not short, ", ".join(short) or "none", "no disk visibly unfinished")


likely_complete: Final = conjunction(
    "likely_complete",
    "nearly done or its own key says completed, no disk visibly unfinished",
    disjunction("says_done", "nearly done, or its own key says completed", nearly_done, own_key_completed),
    Guard("nothing_unfinished", "no disk visibly unfinished", _unfinished),
)
not_likely_complete: Final = negation(likely_complete, "not_likely_complete", "completion cannot be inferred")


def _garbled_age(s: Situation) -> timedelta:
    since = s.facts.memory.unintelligible_since
    return timedelta(0) if since is None else s.age(since)


garbled_too_long: Final = _aged(
    "garbled_too_long",
    "unintelligible for unintelligible_after",
    _garbled_age,
    lambda s: s.policy.unintelligible_after,
)
not_garbled_too_long: Final = negation(
    garbled_too_long, "not_garbled_too_long", "unintelligible for less than unintelligible_after"
)

# --- who asks ------------------------------------------------------------------------------------

by_operator: Final = Guard(
    "by_operator",
    "an operator, by name",
    lambda s: Check(
        s.asked.by is Asker.OPERATOR and bool(s.asked.actor),
        f"{s.asked.by} {s.asked.actor or '(no name)'}",
        "an operator, by name",
    ),
)
by_workflow: Final = Guard(
    "by_workflow",
    "the OMA's workflow",
    lambda s: Check(s.asked.by is Asker.WORKFLOW, str(s.asked.by), "the workflow"),
)
has_reason: Final = _plain(
    "has_reason", "a reason is given", lambda s: bool((s.asked.reason or "").strip()), "no reason given"
)
