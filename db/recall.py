"""Jobs as they were last read or written: good for as long as their rows say that nothing has changed since.

A job that is copied is read twice per poll, and hardly ever has anybody but the poll itself written to it in between.
Its `revision` rises with each write of what a rule may know: a short query replaces three long ones.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, select, update

from db.adopted import is_adopted
from db.load import IDS, Loaded, chunks, load
from db.tables import JOBS, POLLING

MOST: Final = 30_000  # jobs kept, of 2 to 3 kB each
_MARKS: Final = (
    select(JOBS.c.id, JOBS.c.revision, JOBS.c.version, JOBS.c.status, POLLING.c.is_active, POLLING.c.total_polls)
    .select_from(JOBS.outerjoin(POLLING, POLLING.c.job_id == JOBS.c.id))
    .where(JOBS.c.id.in_(IDS))
    .order_by(JOBS.c.id)
)
_LOCKED_MARKS: Final = _MARKS.with_for_update(of=JOBS)


class Recall:
    """What is remembered of active jobs. For any thread: whatever is kept is held against the rows before it is used.

    In a database that an OMA writes too nothing is remembered: its writes raise no revision.
    """

    def __init__(self) -> None:
        self._known: dict[str, Loaded] = {}

    def load(self, connection: Connection, ids: Iterable[str], *, lock: bool = False) -> dict[str, Loaded]:
        """The same as `db.load.load`."""
        if is_adopted(connection):
            return load(connection, ids, lock=lock)
        wanted = sorted(set(ids))
        found = self._unchanged(connection, wanted, lock=lock and connection.dialect.name != "sqlite")
        read = load(connection, (job_id for job_id in wanted if job_id not in found), lock=lock)
        self.keep(read.values())
        return found | read

    def _unchanged(self, connection: Connection, ids: Sequence[str], *, lock: bool) -> dict[str, Loaded]:
        """Those that are stored as they are remembered. With `lock`, all are locked in the order of their ids."""
        known = {job_id: one for job_id in ids if (one := self._known.get(job_id)) is not None}
        asked = ids if lock and known else list(known)
        found = {}
        for some in chunks(asked):
            for job_id, *mark in connection.execute(_LOCKED_MARKS if lock else _MARKS, {"ids": some}):
                one = known.get(job_id)
                if one is not None and mark == _mark(one):
                    found[job_id] = one
        return found

    def keep(self, jobs: Iterable[Loaded]) -> None:
        """Remember jobs as they are stored now; ends are forgotten: what is asked of them depends on other rows too."""
        for one in jobs:
            if one.facts.active and one.polling is not None:
                self._known[one.facts.job_id] = one
            else:
                self.forget(one.facts.job_id)
        if len(self._known) > MOST:  # listed first: another thread may keep and forget meanwhile
            known = list(self._known)
            for job_id in known[: len(known) - MOST]:
                self.forget(job_id)

    def forget(self, job_id: str) -> None:
        """Read the job anew next time."""
        self._known.pop(job_id, None)


def touch(connection: Connection, ids: Iterable[str]) -> None:
    """Say that something which a rule may know of the jobs was written beside their own rows."""
    for some in chunks(ids):
        connection.execute(update(JOBS).where(JOBS.c.id.in_(some)).values(revision=JOBS.c.revision + 1))


def _mark(one: Loaded) -> list[Any]:
    polling = one.polling
    assert polling is not None  # noqa: S101 # `keep` keeps no other
    return [one.revision, one.facts.version, one.status, polling.is_active, polling.total_polls]
