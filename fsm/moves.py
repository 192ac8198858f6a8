"""Every way in which a job may go from one (state, ending) to another, read from the table of edges."""

from datetime import UTC, datetime
from functools import cache
from typing import Final, NamedTuple

from fsm import guards as g
from fsm.facts import Asked, JobFacts, Situation
from fsm.spec import EDGES, Edge
from fsm.states import ENDED, Effect, Ending, State

# The guards that look at how a job ended; all others may pass whatever the ending is.
_OF_THE_END: Final = (g.inferred, g.revisable, g.watch_open)
_WATCHED: Final = frozenset(e.ending for e in EDGES if Effect.WATCH in e.effects)
_ANY_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Move(NamedTuple):
    """One change that raises the version by one. `source` is None for a birth; an active job has no ending."""

    source: State | None
    source_ending: Ending | None
    target: State
    ending: Ending | None


@cache
def exact_moves() -> frozenset[Move]:
    """`moves()` of the specification, told apart by endings: nothing leaves a confirmed end, nor one of before us."""
    return frozenset(
        Move(source, before, edge.target, edge.ending)
        for edge in EDGES
        if edge.target is not None
        for source in edge.sources
        for before in ((None, *Ending) if source in ENDED else (None,))
        if source not in ENDED or _may_leave(edge, source, before)
    )


def _may_leave(edge: Edge, source: State, ending: Ending | None) -> bool:
    facts = JobFacts("", source, _ANY_TIME, _ANY_TIME, ending=ending, watched=ending in _WATCHED)
    situation = Situation(facts, None, Asked(), _ANY_TIME)
    looking = {member for guard in edge.guards for member in guard.family()} & set(_OF_THE_END)
    return all(guard.passes(situation) for guard in looking)
