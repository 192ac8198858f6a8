"""Replicas that a coordination server knows hold no lock of the database: others find them by their rows.

One that lives writes its row every 5 s; whether a row changes is watched a little longer, and no clocks are compared.
"""

import time
from typing import Any, Final

from sqlalchemy import Engine, delete, inspect, select

from db.engine import read, redacted
from db.errors import SecondProcessError
from db.roster import COORDINATED, coordinated
from db.tables import REPLICAS
from db.transactions import transact

WATCH: Final = 7.0  # seconds
LOOK: Final = 0.5  # seconds between two looks


def refuse_coordinated(engine: Engine) -> None:
    """SecondProcessError if replicas of mode tooz serve the database; rows of those that died are removed.

    Takes no time where there are no such rows, else `WATCH` seconds and one look more.
    """
    first = _rows(engine)
    end, over = time.monotonic() + WATCH, not first
    while not over:
        time.sleep(LOOK)
        over = time.monotonic() >= end  # before the look: we may stand still after one, and have to look again
        for slot, row in _rows(engine).items():
            if slot not in first or row.seen_at != first[slot].seen_at:
                raise SecondProcessError(redacted(engine.url), f"{coordinated(row, None)}, in mode tooz")
    if first:
        transact(engine, lambda c: c.execute(delete(REPLICAS).where(REPLICAS.c.slot.in_(first))))


def _rows(engine: Engine) -> dict[int, Any]:
    with read(engine) as connection:
        if not inspect(connection).has_table(REPLICAS.name):
            return {}
        found = connection.execute(select(REPLICAS).where(REPLICAS.c.slot >= COORDINATED)).all()
    return {row.slot: row for row in found}
