"""A process that dies at a chosen step between a decision and its commit: forked, so it is a real one."""

import os
import traceback
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from sqlalchemy import Engine, event

from db.engine import make_engine
from db.store import Store
from fsm.policy import DEFAULT_POLICY

DIED, DONE, BROKEN = 9, 0, 1


def every_death(engine: Engine, work: Callable[[Store], object]) -> Iterator[int]:
    """Run `work` in processes that die before their first, second, … statement, the COMMIT included.

    Yields the step after each death, with nothing of that process left; ends when one lived to commit.
    """
    url = engine.url.render_as_string(hide_password=False)
    for step in count(1):
        fate = _fate(lambda step=step: _work_until(url, work, step))  # type: ignore[misc]
        if fate == DONE:
            return
        assert fate == DIED, f"step {step}: the process failed by itself; its error is above"
        yield step


def _work_until(url: str, work: Callable[[Store], object], step: int) -> None:
    engine = make_engine(url)
    steps = count(1)

    def die(*_: Any) -> None:
        if next(steps) == step:
            os._exit(DIED)

    event.listen(engine, "before_cursor_execute", die)
    event.listen(engine, "commit", die)
    work(Store(engine, DEFAULT_POLICY))


def _fate(run: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            run()
            os._exit(DONE)
        except BaseException:
            traceback.print_exc()
            os._exit(BROKEN)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
