"""What an OMA wrote into an adopted database past the machine, turned into events with history.

A job whose status is not where its history ends was written by somebody else:
1. no history at all: the OMA made it; it is taken over as at adoption.
2. another word for the state that it is in, or one that it is beyond: the status is put right.
3. a state to which the workflow's events lead, and every guard agrees: these events, one by one.
4. another end, or a guard disagrees: recorded as the OMA's own write, with what the guards said.
5. out of an end: put back, and logged; an end is never undone by a write.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, LargeBinary, Row, Select, and_, cast, or_, select, update

from db.adopted import state_of
from db.adoption import OMA, adopt_jobs
from db.apply import Applied, apply
from db.load import Loaded, chunks, load
from db.tables import HISTORY, JOBS
from db.types import MARIADB
from fsm.decision import Decision
from fsm.facts import Asked, JobFacts
from fsm.machine import decide
from fsm.policy import RecoveryPolicy
from fsm.recorded import written
from fsm.spec import EDGES
from fsm.states import ENDED, INITIAL, WORKFLOW_TARGETS, Asker, Ending, Event, State

log = structlog.get_logger(__name__)
_ENDS: Final = {State.FAILED: Event.FAIL, State.COMPLETED: Event.COMPLETE}
_EVENT_TO: Final = {target: event for event, target in WORKFLOW_TARGETS.items()} | _ENDS


@dataclass(slots=True)
class Absorbed:
    """What became of it, by job. `unknown` are (id, status) that are left alone."""

    born: dict[str, State] = field(default_factory=dict)
    applied: list[Applied] = field(default_factory=list)
    put_right: list[str] = field(default_factory=list)
    unknown: list[tuple[str, str | None]] = field(default_factory=list)

    def add(self, other: "Absorbed") -> None:
        """Count another batch in."""
        self.born |= other.born
        self.applied += other.applied
        self.put_right += other.put_right
        self.unknown += other.unknown


def suspects(connection: Connection) -> list[str]:
    """All jobs whose status is not where their history ends."""
    return [row.id for row in connection.execute(_differing(connection))]


def absorb(connection: Connection, ids: Iterable[str], now: datetime, policy: RecoveryPolicy) -> Absorbed:
    """Bring these jobs and their histories together again; within the transaction that goes on to use them."""
    out = Absorbed()
    for some in chunks(ids):
        if connection.execute(_differing(connection).where(JOBS.c.id.in_(some))).first() is not None:
            _absorb(connection, some, now, policy, out)
    return out


def _absorb(connection: Connection, ids: Sequence[str], now: datetime, policy: RecoveryPolicy, out: Absorbed) -> None:
    locked = _differing(connection).where(JOBS.c.id.in_(ids)).order_by(JOBS.c.id).with_for_update(of=JOBS)
    rows = connection.execute(locked).all()
    out.unknown += [(row.id, row.status) for row in rows if state_of(row.status) is None]
    known = [row for row in rows if state_of(row.status) is not None]
    out.born |= adopt_jobs(connection, [row.id for row in known if row.to_state is None], now)
    moved = [row for row in known if row.to_state is not None]
    found = load(connection, [row.id for row in moved])
    for row in moved:
        if row.id in found:
            _heed(connection, row, found[row.id], now, policy, out)


def _differing(connection: Connection) -> Select[Any]:
    """Capitals and blanks count, whatever the OMA's collation says."""
    last = and_(HISTORY.c.job_id == JOBS.c.id, HISTORY.c.seq == JOBS.c.version)
    differs = _exact(connection, JOBS.c.status) != _exact(connection, HISTORY.c.to_state)
    columns = (JOBS.c.id, JOBS.c.status, JOBS.c.error_message, HISTORY.c.to_state)
    joined = JOBS.outerjoin(HISTORY, last)
    return select(*columns).select_from(joined).where(or_(HISTORY.c.id.is_(None), JOBS.c.status.is_(None), differs))


def _exact(connection: Connection, column: ColumnElement[str]) -> ColumnElement[Any]:
    return cast(column, LargeBinary) if connection.dialect.name in MARIADB else column


def _heed(
    connection: Connection, row: Row[Any], loaded: Loaded, now: datetime, policy: RecoveryPolicy, out: Absorbed
) -> None:
    last, target = State(row.to_state), State(loaded.facts.state)
    job = replace(loaded, facts=replace(loaded.facts, state=last))
    told = row.error_message if target is State.FAILED else None
    asked = Asked(Asker.WORKFLOW, OMA, told or f"the OMA wrote {row.status!r}")
    said_again = target is last and job.facts.ending is not Ending.INFERRED  # an inference may be confirmed
    decisions = [] if said_again else _decisions(job.facts, target, asked, now, policy)
    if decisions is None:
        log.error("The OMA wrote over the end of a job; put back", job_id=row.id, wrote=row.status, state=last)
    elif decisions:
        log.info(
            "The OMA moved a job", job_id=row.id, wrote=row.status, from_state=last, rules=[d.edge for d in decisions]
        )
    if decisions:
        out.applied += _apply(connection, job, decisions, policy)
    else:
        same = (JOBS.c.id == row.id, JOBS.c.version == job.facts.version, JOBS.c.status == row.status)
        connection.execute(update(JOBS).where(*same).values(status=last.value))
        out.put_right.append(row.id)


def _decisions(
    job: JobFacts, target: State, asked: Asked, now: datetime, policy: RecoveryPolicy
) -> list[Decision] | None:
    """The moves that bring the job there; none if it is beyond; None if nothing may bring it there."""
    if target is INITIAL:  # nothing leads back to it
        return None if job.state in ENDED else []
    taken: list[Decision] = []
    for event in _way(job.state, target):
        decision = decide(taken[-1].after if taken else job, event, None, now, asked=asked, policy=policy)
        if not decision.outcome.accepted:
            if job.state in ENDED:
                return None
            return [written(replace(decision, before=job), target)]
        taken.append(decision)
    return [d for d in taken if d.moved]


def _way(state: State, target: State) -> list[Event]:
    """The fewest events of the workflow that lead from one state to another; the target's own if none do."""
    ways: dict[State, list[Event]] = {state: []}
    reached = deque([state])
    while reached:
        here = reached.popleft()
        for edge in EDGES:
            to = edge.target
            if edge.event in WORKFLOW_TARGETS and here in edge.sources and to is not None and to not in ways:
                ways[to] = [*ways[here], edge.event]
                reached.append(to)
    return ways.get(target) or [_EVENT_TO[target]]


def _apply(connection: Connection, job: Loaded, decisions: Sequence[Decision], policy: RecoveryPolicy) -> list[Applied]:
    applied: list[Applied] = []
    for decision in decisions:
        applied += apply(connection, [(job, decision)], policy)
        job = replace(job, facts=decision.after, status=decision.after.state.value, revision=job.revision + 1)
    return applied
