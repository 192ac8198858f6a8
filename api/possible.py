"""Which events a job can have now, and if not, why not: the machine is asked, nothing is decided."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from api.job_views import PossibleEvent
from api.problems import failed_guards
from fsm.decision import Decision, Outcome
from fsm.explain import explain
from fsm.facts import Asked, JobFacts
from fsm.machine import decide
from fsm.policy import RecoveryPolicy
from fsm.states import Event


def possible_events(facts: JobFacts, now: datetime, policy: RecoveryPolicy) -> Iterator[PossibleEvent]:
    """Every event that may be asked for, as the workflow and as an operator would ask for it."""
    for event, decisions in explain(facts, now, policy=policy).items():
        accepted = [d for d in decisions if d.outcome.accepted]
        yield _possible(event, accepted, policy) if accepted else _impossible(event, decisions)


def _possible(event: Event, accepted: Sequence[Decision], policy: RecoveryPolicy) -> PossibleEvent:
    first = accepted[0]
    silent = Asked(first.asked.by, first.asked.actor)
    bare = decide(first.before, event, None, first.at, asked=silent, policy=policy)
    return PossibleEvent(
        event=event.value,
        possible=True,
        asked_by=[d.asked.by.value for d in accepted],
        needs_reason=not bare.outcome.accepted,
        leads_to=first.after.state.value,
        message="" if first.moved else "nothing would change: the job is there or beyond already",
        failed_guards=[],
        possible_at=None,
    )


def _impossible(event: Event, refused: Sequence[Decision]) -> PossibleEvent:
    """What stands in everybody's way; that an operator is not the workflow is no reason."""
    everywhere = set.intersection(*({v.name for v in d.refusals} for d in refused))
    common = tuple(dict.fromkeys(v for v in refused[0].refusals if v.name in everywhere))
    illegal = refused[0].outcome is Outcome.ILLEGAL
    return PossibleEvent(
        event=event.value,
        possible=False,
        asked_by=[],
        needs_reason=False,
        leads_to=None,
        message=refused[0].says if illegal else "; ".join(map(str, common)),
        failed_guards=failed_guards(common),
        possible_at=min((d.possible_at for d in refused if d.possible_at is not None), default=None),
    )
