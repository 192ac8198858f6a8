"""Time-outs without waiting: an event loop whose clock stands still until told otherwise; its sockets are real."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
TURNS = 8  # of the loop: who is due is called, and who waits for that
ON_ITS_WAY = 0.005  # seconds of the real clock that bytes have to arrive in


class StandingLoop(asyncio.SelectorEventLoop):
    """However slow the machine is, nobody is late by that."""

    def __init__(self) -> None:
        self.now = 1000.0  # seconds
        super().__init__()

    def time(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, T]) -> T:
    """What it gives back."""
    with asyncio.Runner(loop_factory=StandingLoop) as runner:
        return runner.run(work)


async def pass_time(seconds: float) -> None:
    """What was sent before arrives before; then let so much time pass."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, StandingLoop)
    time.sleep(ON_ITS_WAY)  # noqa: ASYNC251 - the loop's clock stands, and the kernel works meanwhile
    await _turns()
    loop.now += seconds
    await _turns()


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
