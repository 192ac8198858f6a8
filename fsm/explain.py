"""What could be done with a job now, and why not: the machine is asked, nothing is decided."""

from datetime import datetime
from typing import Final

from fsm.decision import Decision
from fsm.facts import Asked, JobFacts
from fsm.machine import decide
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.states import VMA_EVENTS, Asker, Event

# The events that somebody asks for, of a job that exists.
ASKABLE: Final = tuple(e for e in Event if e is not Event.CREATE and e not in VMA_EVENTS)
# Whoever may ask, with a name and a reason given, so that only the job itself can stand in the way.
NAMED: Final = tuple(Asked(by, actor="somebody", reason="some reason") for by in (Asker.WORKFLOW, Asker.OPERATOR))


def explain(
    facts: JobFacts, now: datetime, *, policy: RecoveryPolicy = DEFAULT_POLICY
) -> dict[Event, tuple[Decision, ...]]:
    """For every event that can be asked for, what would be decided: for the workflow first, then for an operator.

    These are the decisions themselves, made by the same function: `outcome` tells allowed, refused and illegal
    apart, `refusals` name every guard that says no, `possible_at` tells when time alone will change that.
    """
    return {e: tuple(decide(facts, e, None, now, asked=asked, policy=policy) for asked in NAMED) for e in ASKABLE}
