"""Jobs whose rows nobody else holds: one that is held, however long, must not keep all others waiting."""

from collections.abc import Iterable
from typing import Final

import structlog
from sqlalchemy import Connection, select

from db.load import IDS, chunks
from db.tables import JOBS

log = structlog.get_logger(__name__)
_THERE: Final = select(JOBS.c.id).where(JOBS.c.id.in_(IDS)).order_by(JOBS.c.id)
_FREE: Final = _THERE.with_for_update(skip_locked=True)


class FreeRows:
    """Remembers whose rows were held when they were last wanted: that happens to everyone for a moment."""

    def __init__(self) -> None:
        self._held: frozenset[str] = frozenset()

    def lock(self, connection: Connection, ids: Iterable[str]) -> list[str]:
        """Lock those jobs whose rows no other transaction holds, in the order of their ids; held twice is logged.

        On SQLite whoever writes has the whole file.
        """
        wanted = sorted(set(ids))
        if connection.dialect.name == "sqlite":
            return wanted
        free = [job_id for some in chunks(wanted) for job_id in connection.scalars(_FREE, {"ids": some})]
        left = sorted(set(wanted) - set(free))
        held = [job_id for some in chunks(left) for job_id in connection.scalars(_THERE, {"ids": some})]
        if again := [job_id for job_id in held if job_id in self._held]:
            log.warning("Another transaction holds the rows of jobs; their answers are left, and they are asked again",
                        jobs=again[:20])  # fmt: skip
        self._held = self._held.difference(wanted).union(held)
        return free
