"""When a job is asked next: the pace of polling, as a rule."""

from datetime import datetime, timedelta

from fsm.facts import JobFacts
from fsm.policy import RecoveryPolicy


def interval(
    facts: JobFacts, errors: int, now: datetime, policy: RecoveryPolicy, retry_after: float | None = None
) -> timedelta:
    """Time until the next question; `errors` in a row slow it down, `retry_after` (seconds) is obeyed within bounds."""
    own = own_interval(facts, now, policy)
    backed_off = min(own * (1 << min(errors, 16)), max(own, policy.backoff_max))
    asked_for = min(timedelta(seconds=retry_after or 0.0), policy.retry_after_max)
    return max(backed_off, asked_for)


def own_interval(facts: JobFacts, now: datetime, policy: RecoveryPolicy) -> timedelta:
    """The pace of a job that answers."""
    if facts.active:
        near_end = facts.percent >= policy.near_end_percent
        return policy.poll_interval_near_end if near_end else policy.poll_interval
    return policy.poll_interval if now - facts.entered_at < policy.watch_fast_for else policy.watch_interval
