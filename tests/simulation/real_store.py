"""The real store, on SQLite, with what a simulation wants to know of it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from memory_store import Move, Run
from sqlalchemy import Engine, select

from db import views
from db.apply import Applied
from db.engine import read
from db.store import Answer, Store
from db.tables import HISTORY, JOBS, RUNS
from fsm.decision import Decision
from fsm.facts import Asked
from fsm.policy import RecoveryPolicy
from fsm.states import Asker, Ending, State


class RealStore(Store):
    """Tells of moves as the store in memory does."""

    def __init__(self, engine: Engine, policy: RecoveryPolicy) -> None:
        super().__init__(engine, policy)
        self.poisoned: set[str] = set()
        self.on_move: Callable[[Decision], None] = lambda _: None

    def for_a_process(self) -> "RealStore":
        """What a process opens: the same database, with nothing remembered."""
        other = RealStore(self.engine, self.policy)
        other.on_move = self.on_move
        return other

    def create(self, *args: Any, **kwargs: Any) -> Decision:
        return self._told(super().create(*args, **kwargs))

    def fire(self, *args: Any, **kwargs: Any) -> Applied:
        applied = super().fire(*args, **kwargs)
        self._told(applied.decision)
        return applied

    def answer(self, answers: Sequence[Answer], now: datetime) -> list[Applied]:
        applied = super().answer(answers, now)
        for one in applied:
            self._told(one.decision)
        return applied

    def _told(self, decision: Decision) -> Decision:
        if decision.moved:
            self.on_move(decision)
        return decision

    @property
    def moves(self) -> dict[str, list[Move]]:
        with read(self.engine) as connection:
            ids = connection.scalars(select(JOBS.c.id)).all()
            return {job_id: [_move(row) for row in views.history(connection, job_id)] for job_id in ids}

    @property
    def runs(self) -> list[Run]:
        with read(self.engine) as connection:
            rows = connection.execute(select(RUNS).order_by(RUNS.c.id)).mappings().all()
        return [Run(r["id"], Asked(Asker(r["asked_by"]), r["actor"]), r["jobs"], r["run_by"], r["started_at"],
                    r["looked_at"], r["outcomes"] or {}, r["finished_at"]) for r in rows]  # fmt: skip

    def history(self) -> list[Any]:
        """Every row of history, as the doctor sees it."""
        with read(self.engine) as connection:
            return list(connection.execute(select(HISTORY)))


def _move(row: Any) -> Move:
    source = State(row["from_state"]) if row["from_state"] else None
    ending = Ending(row["ending"]) if row["ending"] else None
    asked = Asked(Asker(row["asked_by"]), row["actor"])
    return Move(row["seq"], row["edge"], source, State(row["to_state"]), ending, row["at"], asked)
