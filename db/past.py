"""The past as the rules can judge it again: moves from history, silences from the kept polls."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby, zip_longest
from operator import itemgetter
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, RowMapping, select

from db.codec import evidence_from_json, facts_from_json, verdicts_from_json
from db.tables import HISTORY, POLLS
from fsm.facts import Asked, JobFacts
from fsm.replay import PastMove, StrangeMove, told
from fsm.silence import SILENT, Silence
from fsm.states import Asker, Ending, Event, Recorded, State, Verdict

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_AT_ONCE = 500  # rows of history held in memory
_KNOWING = tuple(v for v in Verdict if v.knows_the_job)


def moves(
    connection: Connection, since: datetime = BEGINNING, job_id: str | None = None
) -> Iterator[PastMove | StrangeMove]:
    """All moves that the machine decided from `since` on, oldest first, of all jobs or of one.

    What was only recorded (taken over, or written by an OMA past the machine) cannot be decided again.
    """
    decided = HISTORY.c.event.not_in([r.value for r in Recorded])
    query = select(HISTORY).where(HISTORY.c.at >= since, decided, *_of(HISTORY.c.job_id, job_id)).order_by(HISTORY.c.id)
    for row in connection.execute(query.execution_options(yield_per=_AT_ONCE)).mappings():
        try:
            yield _move(row)
        except ValueError:  # another release's word
            yield StrangeMove(row["job_id"], row["spec_hash"])


def silences(connection: Connection, since: datetime = BEGINNING, job_id: str | None = None) -> Iterator[Silence]:
    """All silences of the VMA that began from `since` on while a job was active, job by job.

    Without those in a life of which another release's words tell.
    """
    silent = POLLS.c.verdict.in_([v.value for v in SILENT])
    jobs = select(POLLS.c.job_id).distinct().where(POLLS.c.at >= since, silent, *_of(POLLS.c.job_id, job_id))
    for found in connection.scalars(jobs.order_by(POLLS.c.job_id)).all():
        yield from (s for s in _silences(connection, found) if s.since >= since)


def _of(column: Any, job_id: str | None) -> list[Any]:
    return [] if job_id is None else [column == job_id]


def _move(row: RowMapping) -> PastMove:
    return PastMove(
        row["job_id"],
        row["at"],
        Event(row["event"]),
        row["edge"],
        State(row["to_state"]),
        Ending(row["ending"]) if row["ending"] else None,
        Asked(Asker(row["asked_by"]), row["actor"], row["reason"]),
        None if row["facts_before"] is None else facts_from_json(row["facts_before"]),
        None if row["evidence"] is None else evidence_from_json(row["evidence"]),
        row["spec_hash"],
        verdicts_from_json(row["verdicts"]),
    )


def _silences(connection: Connection, job_id: str) -> Iterator[Silence]:
    told_by = (HISTORY.c.at, HISTORY.c.facts, HISTORY.c.edge, HISTORY.c.to_state, HISTORY.c.ending)
    moved = select(*told_by).where(HISTORY.c.job_id == job_id).order_by(HISTORY.c.seq)
    polls = select(POLLS.c.at, POLLS.c.verdict, POLLS.c.percent).where(POLLS.c.job_id == job_id).order_by(POLLS.c.id)
    lives = connection.execute(moved).mappings().all()
    answers = connection.execute(polls).mappings().all()
    for life, next_life in zip_longest(lives, lives[1:]):
        within = [a for a in answers if life["at"] <= a["at"] and (next_life is None or a["at"] < next_life["at"])]
        facts = _facts_after(life)
        if facts is not None and facts.active:
            yield from _within(facts, within, next_life)


def _facts_after(life: RowMapping) -> JobFacts | None:
    try:
        return facts_from_json(life["facts"])
    except ValueError:  # another release's word
        return None


def _within(facts: JobFacts, answers: Sequence[RowMapping], next_life: RowMapping | None) -> Iterator[Silence]:
    """The silences of a job in one state; one that nothing is known to have ended lasts until its last kept answer."""
    known = facts.heard_at is not None
    alike = [list(same) for _, same in groupby(answers, key=itemgetter("verdict"))]
    for same, after in zip_longest(alike, alike[1:]):
        first, verdict = same[0], same[0]["verdict"]
        until, then = (after[0]["at"], "") if after else _left(next_life) or (same[-1]["at"], "")
        if verdict in SILENT:
            heard = first["at"] if known else None  # in truth up to one poll earlier
            before = replace(facts, heard_at=heard, percent=first["percent"] or 0.0)
            yield Silence(before, Verdict(verdict), first["at"], until, then)
        known = known or verdict in _KNOWING


def _left(next_life: RowMapping | None) -> tuple[datetime, str] | None:
    """When a job left its state, and for what."""
    if next_life is None:
        return None
    return next_life["at"], told(next_life["edge"], next_life["to_state"], next_life["ending"])
