"""Moves that the machine did not decide, as decisions, so that they are applied and kept like all others."""

from datetime import datetime

from msgspec.structs import replace

from fsm.decision import Decision, Outcome, take
from fsm.facts import Asked, JobFacts, Situation
from fsm.spec import END, KEEP, Edge
from fsm.states import ENDED, Ending, Event, Recorded, State


def found(job: JobFacts, asked: Asked, at: datetime) -> Decision:
    """A job that was there before this service, taken over as it is; its version stays."""
    why = "It was there before this service."
    edge = Edge(Recorded.ADOPT.value, Event.CREATE, (None,), job.state, (), (), why, ending=job.ending)
    return Decision(Recorded.ADOPT, Outcome.MOVED, job, job, Situation(job, None, asked, at), (), edge)


def written(refused: Decision, target: State) -> Decision:
    """What the machine refused and the OMA did all the same. An end is its word; the guards' verdicts are kept."""
    over = target in ENDED
    edge = Edge(
        Recorded.OMA_WRITE.value,
        Event(refused.event),
        (refused.before.state,),
        target,
        (),
        END if over else KEEP,
        "An OMA writes its own table.",
        ending=Ending.CONFIRMED if over else None,
    )
    after = take(edge, refused.before, None, refused.asked, refused.at)
    return replace(refused, event=Recorded.OMA_WRITE, outcome=Outcome.MOVED, after=after, rule=edge)
