"""Answers on their way to the database: as many in one transaction as have gathered."""

import asyncio
from collections import deque
from contextlib import suppress
from math import inf
from typing import Final

from db.store import Answer
from fsm.states import Asker, Verdict

BATCH: Final = 500  # answers per transaction
LINGER: Final = 0.25  # seconds that news of progress may wait, to be written with that of other jobs
SOON: Final = 0.15  # seconds, if somebody waits for it: a recovery has thousands of them


class Answers:
    """A queue. Belongs to one event loop.

    The ordinary news of a copy that goes on waits for others; whatever may move a job is written at once, with all
    that is there.
    """

    def __init__(self, linger: float = LINGER) -> None:
        self.linger = linger
        self._waiting: deque[Answer] = deque()
        self._due = inf  # of the loop's clock
        self._sooner = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, answer: Answer) -> None:
        """Hand in an answer."""
        self._waiting.append(answer)
        full = len(self._waiting) >= BATCH
        due = asyncio.get_running_loop().time() + (0.0 if full else min(_patience(answer), self.linger))
        if due < self._due:
            self._due = due
            self._sooner.set()

    async def gather(self) -> list[Answer]:
        """The next answers, at least one and at most a batch."""
        while (left := self._due - asyncio.get_running_loop().time()) > 0:
            self._sooner.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if left == inf else left):
                    await self._sooner.wait()
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        if not self._waiting:
            self._due = inf
        return batch

    def rest(self) -> list[Answer]:
        """All that is there, when nobody gathers any more."""
        rest = list(self._waiting)
        self._waiting.clear()
        self._due = inf
        return rest


def _patience(answer: Answer) -> float:
    if answer.evidence.verdict is not Verdict.RUNNING:
        return 0.0
    return LINGER if answer.asked.by is Asker.POLL else SOON
