"""The guards of the machine, each with its text for diagrams and tables."""

from datetime import timedelta
from functools import lru_cache
from typing import Final

from fsm.facts import Situation
from fsm.guard import Guard, Sight, age_guard, age_of, conjunction, disjunction, duration, negation, plain_guard
from fsm.states import SETUP, Asker, Ending, Verdict

# --- facts about the job -------------------------------------------------------------------------

has_disks: Final = Guard(
    "has_disks",
    "the job has disks",
    lambda s: bool(s.facts.disks),
    lambda s: Sight(f"{len(s.facts.disks)} disks", ">= 1 disk"),
)


def _volumes(s: Situation) -> Sight:
    missing = ", ".join(d.disk_id for d in s.facts.disks if d.volume_id is None)
    return Sight(f"no volume for {missing}" if missing else f"{len(s.facts.disks)} disks", "a volume for every disk")


volumes_recorded: Final = Guard(
    "volumes_recorded",
    "every disk has a volume",
    lambda s: bool(s.facts.disks) and all(d.volume_id is not None for d in s.facts.disks),
    _volumes,
)
vm_not_taken: Final = plain_guard(
    "vm_not_taken", "no newer job of the VM", lambda s: not s.facts.vm_taken, "a newer job of the VM exists"
)
vm_taken: Final = negation(vm_not_taken, "vm_taken", "a newer job of the VM exists")
inferred: Final = Guard(
    "inferred",
    "the end is inferred",
    lambda s: s.facts.ending is Ending.INFERRED,
    lambda s: Sight(f"{s.facts.ending or 'unexplained'} end", "an inferred end"),
)
revisable: Final = Guard(
    "revisable",
    "the end is inferred or manual",
    lambda s: s.facts.ending in (Ending.INFERRED, Ending.MANUAL),
    lambda s: Sight(f"{s.facts.ending or 'unexplained'} end", "an inferred or manual end"),
)
ended_in_setup: Final = Guard(
    "ended_in_setup",
    "it ended in a set-up state",
    lambda s: s.facts.memory.ended_from in SETUP,
    lambda s: Sight(f"an end from {s.facts.memory.ended_from or 'an unknown state'}", "an end from a set-up state"),
)

# --- a VM about to get a new job --------------------------------------------------------------------

vm_idle: Final = Guard(
    "vm_idle",
    "the VM has no unfinished job",
    lambda s: s.vm.unfinished_job is None,
    lambda s: Sight(s.vm.unfinished_job or "none", "no unfinished job of the VM"),
)


def _last_copy(s: Situation) -> Sight:
    watched = f"{s.vm.watched_job} is {s.vm.watched_verdict or 'not asked'}"
    limit = "the VM's last copy, whose end was only inferred, answers and does not run"
    return Sight(watched if s.vm.watched_job else "no inferred end under watch", limit)


last_copy_over: Final = Guard(
    "last_copy_over",
    "an inferred end of the VM was asked about, and is over",
    lambda s: s.vm.watched_job is None or s.vm.watched_verdict not in (Verdict.RUNNING, Verdict.UNREACHABLE, None),
    _last_copy,
)

# --- the watch over an inferred end --------------------------------------------------------------

watch_open: Final = plain_guard("watch_open", "under watch", lambda s: s.facts.watched, "not under watch")
not_watched: Final = negation(watch_open, "not_watched", "not under watch")


def _answered_for(s: Situation) -> timedelta:
    return timedelta(seconds=s.facts.memory.watched_seconds)


watch_spent: Final = Guard(
    "watch_spent",
    "the VMA has answered for watch_for",
    lambda s: _answered_for(s) >= s.policy.watch_for,
    lambda s: Sight(f"answered for {age_of(_answered_for(s))}", f">= {duration(s.policy.watch_for)}"),
)
under_watch: Final = conjunction(
    "under_watch", "under watch", watch_open, negation(watch_spent, "watch_runs", "the watch is not over")
)

# --- silence -------------------------------------------------------------------------------------


@lru_cache
def _ripe_after(answers: int, want: timedelta) -> str:
    return f">= {answers} like answers over {duration(want)}" if want else ">= 1 answer"


def _streak(name: str, says: str, kind: str) -> Guard:
    def heard(s: Situation) -> tuple[int, float]:
        streak = getattr(s.facts.memory, kind)
        return (0, 0.0) if streak is None else (streak.count, streak.span)

    def ripe(s: Situation) -> bool:
        (count, span), want = heard(s), s.policy.inference_ripe
        return not want or (count >= s.policy.inference_answers and span >= want.total_seconds())

    def sight(s: Situation) -> Sight:
        count, span = heard(s)
        return Sight(
            f"{count} over {age_of(timedelta(seconds=span))}",
            _ripe_after(s.policy.inference_answers, s.policy.inference_ripe),
        )

    return Guard(name, says, ripe, sight)


absence_ripe: Final = _streak("absence_ripe", "like not-founds, enough and spread", "not_found")
outage_ripe: Final = _streak("outage_ripe", "like outages, enough and spread", "unreachable")
polled_long_enough: Final = age_guard(
    "polled_long_enough",
    "polled for polling_grace",
    lambda s: s.observed_age(s.facts.polling_since or s.facts.created_at),
    lambda s: s.policy.polling_grace,
)
was_seen: Final = plain_guard(
    "was_seen", "the VMA has known the job", lambda s: s.facts.heard_at is not None, "never seen by the VMA"
)
had_time_to_post: Final = age_guard(
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
setup_timed_out: Final = age_guard(
    "setup_timed_out",
    "past the grace of the state",
    lambda s: s.observed_age(s.facts.entered_at),
    lambda s: s.policy.setup_grace(s.facts.state),
)
in_setup_grace: Final = negation(setup_timed_out, "in_setup_grace", "within the grace of the state")
silent_too_long: Final = age_guard(
    "silent_too_long",
    "last sign of life unreachable_after ago",
    lambda s: min(map(s.age, s.facts.signs_of_life)),
    lambda s: s.policy.unreachable_after,
)
given_up: Final = conjunction("given_up", "silent for too long, outage ripe", silent_too_long, outage_ripe)
not_given_up: Final = negation(given_up, "not_given_up", "too early to give the job up")

# --- progress and unproven completion ------------------------------------------------------------


@lru_cache
def _above(percent: float) -> str:
    return f"> {percent:g} %"


nearly_done: Final = Guard(
    "nearly_done",
    "progress > nearly_done_percent",
    lambda s: s.facts.percent > s.policy.nearly_done_percent,
    lambda s: Sight(f"{s.facts.percent:g} %", _above(s.policy.nearly_done_percent)),
)
not_nearly_done: Final = negation(nearly_done, "not_nearly_done", "progress <= nearly_done_percent")
own_key_completed: Final = plain_guard(
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


settled: Final = age_guard(
    "settled", "unchanged for completion_settle", _settled_age, lambda s: s.policy.completion_settle
)
not_settled: Final = negation(settled, "not_settled", "unchanged for less than completion_settle")


def _unfinished(s: Situation) -> list[str]:
    return [d.disk_id for d in s.facts.memory.disks if d.unfinished and not d.proven]


likely_complete: Final = conjunction(
    "likely_complete",
    "nearly done or its own key says completed, no disk visibly unfinished",
    disjunction("says_done", "nearly done, or its own key says completed", nearly_done, own_key_completed),
    Guard(
        "nothing_unfinished",
        "no disk visibly unfinished",
        lambda s: not _unfinished(s),
        lambda s: Sight(", ".join(_unfinished(s)) or "none", "no disk visibly unfinished"),
    ),
)
not_likely_complete: Final = negation(likely_complete, "not_likely_complete", "completion cannot be inferred")


def _garbled_age(s: Situation) -> timedelta:
    since = s.facts.memory.unintelligible_since
    return timedelta(0) if since is None else s.age(since)


garbled_too_long: Final = age_guard(
    "garbled_too_long",
    "unintelligible for unintelligible_after",
    _garbled_age,
    lambda s: s.policy.unintelligible_after,
)
not_garbled_too_long: Final = negation(
    garbled_too_long, "not_garbled_too_long", "unintelligible for less than unintelligible_after"
)

# --- who asks ------------------------------------------------------------------------------------


def _named(s: Situation) -> str:
    return (s.asked.actor or "").strip()


by_operator: Final = Guard(
    "by_operator",
    "an operator, by name",
    lambda s: s.asked.by is Asker.OPERATOR and bool(_named(s)),
    lambda s: Sight(f"{s.asked.by} {_named(s) or '(no name)'}", "an operator, by name"),
)
by_workflow: Final = Guard(
    "by_workflow",
    "the OMA's workflow",
    lambda s: s.asked.by is Asker.WORKFLOW,
    lambda s: Sight(str(s.asked.by), "the workflow"),
)
has_reason: Final = plain_guard(
    "has_reason", "a reason is given", lambda s: bool((s.asked.reason or "").strip()), "no reason given"
)
