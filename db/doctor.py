"""The doctor: does everything that is stored agree with everything else? What follows from other rows can be mended."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from itertools import groupby, pairwise
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, or_, select

from db import contexts, polling
from db.bulk import update_many
from db.foreign import FOREIGN
from db.load import CHUNK, load
from db.recall import touch
from db.tables import CONTEXTS, HISTORY, JOBS, POLLING
from fsm.states import ACTIVE, ENDED


class Ailment(StrEnum):
    """What can be wrong. Each comment says who mends it."""

    HISTORY = "history"  # a person: the row and its history tell different stories
    UNREADABLE = "unreadable"  # a person: the row makes no sense to this release
    COMPLETED_AT = "completed_at"  # a person: an end without its time
    TWO_JOBS = "two_jobs"  # a person: two unfinished jobs of one VM
    CONTEXT = "context"  # the doctor: current job and counters follow from the jobs
    POLLING = "polling"  # the doctor: who is polled follows from the jobs


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a job, or with a VM context. `mend` looks afresh, for it may have changed since."""

    ailment: Ailment
    subject: str
    says: str
    mend: Callable[[Connection, datetime], object] | None = None


_ACTIVE: Final = [s.value for s in ACTIVE]
# A state that this release does not know is none of these: that job may still run.
_OVER: Final = [s.value for s in ENDED] + [status for status, state in FOREIGN.items() if state in ENDED]


def examine(connection: Connection) -> Iterator[Finding]:
    """Everything that is wrong, jobs before contexts. Reads all rows, CHUNK jobs at a time."""
    for ids in _in_pieces(connection, JOBS.c.id):
        rows = {row["id"]: row for row in connection.execute(select(JOBS).where(JOBS.c.id.in_(ids))).mappings()}
        yield from _histories(connection, rows)
        yield from _rows(connection, rows)
    yield from _polling(connection)
    for ids in _in_pieces(connection, CONTEXTS.c.context_id):
        yield from _contexts(connection, ids)


def _in_pieces(connection: Connection, key: Any) -> Iterator[list[str]]:
    last = ""
    while ids := list(connection.scalars(select(key).where(key > last).order_by(key).limit(CHUNK))):
        yield ids
        last = ids[-1]


def mend(finding: Finding, now: datetime, connection: Connection) -> None:
    """Mend what was found, if it can be mended."""
    if finding.mend is not None:
        finding.mend(connection, now)


# --- jobs ----------------------------------------------------------------------------------------------


def _histories(connection: Connection, rows: dict[str, RowMapping]) -> Iterator[Finding]:
    columns = (HISTORY.c[n] for n in ("job_id", "seq", "from_state", "to_state", "ending"))
    moves = select(*columns).where(HISTORY.c.job_id.in_(rows)).order_by(HISTORY.c.job_id, HISTORY.c.seq)
    by_job = groupby(connection.execute(moves).mappings(), key=lambda move: move["job_id"])
    told = {job_id: list(some) for job_id, some in by_job}
    for job_id, row in rows.items():
        if says := _folded(row, told.get(job_id, [])):
            yield Finding(Ailment.HISTORY, job_id, says)


def _folded(row: RowMapping, moves: list[RowMapping]) -> str | None:
    """What is wrong with the history of a row; None if folding it gives the row."""
    if not moves:
        return "it has no history"
    for before, move in pairwise(moves):
        if move["seq"] != before["seq"] + 1:
            return f"its history has a gap between {before['seq']} and {move['seq']}"
        if move["from_state"] != before["to_state"]:
            return f"move {move['seq']} leaves {move['from_state']}, but the one before it led to {before['to_state']}"
    last = moves[-1]
    stands, led = (row["status"], row["ending"], row["version"]), (last["to_state"], last["ending"], last["seq"])
    return None if stands == led else f"its row says {_told(*stands)}, its history {_told(*led)}"


def _told(state: str, ending: str | None, version: int) -> str:
    return f"{state}{f' ({ending})' if ending else ''} at version {version}"


def _rows(connection: Connection, rows: dict[str, RowMapping]) -> Iterator[Finding]:
    readable = load(connection, rows)
    for job_id, row in rows.items():
        if job_id not in readable:
            yield Finding(Ailment.UNREADABLE, job_id, "its row makes no sense to this release; the log says why")
        elif row["status"] in _OVER and row["completed_at"] is None:
            yield Finding(Ailment.COMPLETED_AT, job_id, f"it is {row['status']} and nothing says since when")


def _polling(connection: Connection) -> Iterator[Finding]:
    must = or_(JOBS.c.status.in_(_ACTIVE), JOBS.c.watched.is_(True))
    joined = JOBS.outerjoin(POLLING, POLLING.c.job_id == JOBS.c.id)
    polled = POLLING.c.is_active.is_(True)
    silent = select(JOBS.c.id).select_from(joined).where(must, or_(POLLING.c.job_id.is_(None), ~polled))
    for job_id in connection.scalars(silent.order_by(JOBS.c.id)).all():
        says = "it must be polled, and its polling row says no"
        yield Finding(Ailment.POLLING, job_id, says, partial(_switch, job_id))
    over = and_(JOBS.c.status.in_(_OVER), JOBS.c.watched.is_not(True))
    idle = select(JOBS.c.id).select_from(joined).where(over, polled)
    for job_id in connection.scalars(idle.order_by(JOBS.c.id)).all():
        yield Finding(Ailment.POLLING, job_id, "it is over, and its polling row is on", partial(_switch, job_id))


def _switch(job_id: str, connection: Connection, now: datetime) -> None:
    loaded = load(connection, [job_id], lock=True).get(job_id)
    if loaded is not None:
        (polling.start if loaded.facts.polled else polling.stop)(connection, [job_id], now)
        touch(connection, [job_id])


# --- contexts ------------------------------------------------------------------------------------------


def _contexts(connection: Connection, ids: list[str]) -> Iterator[Finding]:
    rows = connection.execute(select(CONTEXTS).where(CONTEXTS.c.context_id.in_(ids))).mappings().all()
    counted = contexts.counted(connection, ids)
    unfinished = _unfinished(connection, ids)
    for row in rows:
        context_id = row["context_id"]
        holders = unfinished.get(context_id, [])
        if len(holders) > 1:
            yield Finding(
                Ailment.TWO_JOBS, context_id, f"its VM has {len(holders)} unfinished jobs: {', '.join(holders)}"
            )
        right = counted[context_id] | {"current_job_id": holders[-1] if holders else None}
        if wrong := {n: value for n, value in right.items() if row[n] != value}:
            told = ", ".join(f"{n} is {row[n]}, should be {value}" for n, value in wrong.items())
            yield Finding(Ailment.CONTEXT, context_id, told, partial(_put_right, context_id))


def _unfinished(connection: Connection, ids: Iterable[str]) -> dict[str, list[str]]:
    """The unfinished jobs of each VM, oldest first."""
    found: dict[str, list[str]] = {}
    query = select(JOBS.c.vm_context_id, JOBS.c.id).where(JOBS.c.vm_context_id.in_(ids), JOBS.c.status.not_in(_OVER))
    for context_id, job_id in connection.execute(query.order_by(JOBS.c.created_at, JOBS.c.id)):
        found.setdefault(context_id, []).append(job_id)
    return found


def _put_right(context_id: str, connection: Connection, now: datetime) -> None:
    held = contexts.hold(connection, [context_id])
    holders = _unfinished(connection, held).get(context_id, [])
    current = {"current_job_id": holders[-1] if holders else None, "updated_at": now}
    update_many(connection, CONTEXTS, ("context_id",), [context | current for context in held.values()])
