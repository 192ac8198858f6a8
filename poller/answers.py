"""Answers on their way to the database: as many in one transaction as have gathered."""

import asyncio
from contextlib import suppress
from typing import Final

from db.store import Answer
from fsm.states import Asker, Verdict

BATCH: Final = 500  # answers per transaction
LINGER: Final = 0.25  # seconds that news of progress may wait, to be written with that of other jobs


class Answers:
    """A queue. Belongs to one event loop."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Answer] = asyncio.Queue()

    def __len__(self) -> int:
        return self._queue.qsize()

    def put(self, answer: Answer) -> None:
        """Hand in an answer."""
        self._queue.put_nowait(answer)

    async def gather(self, linger: float) -> list[Answer]:
        """The next answers, at least one and at most a batch.

        The ordinary news of a copy that goes on waits `linger` seconds for others; whatever may move a job, or that
        somebody waits for, is written at once, with all that is there.
        """
        batch = [await self._queue.get()]
        if linger:
            try:
                await self._wait_for_more(batch, linger)
            except asyncio.CancelledError:  # we are stopped: `rest` has them
                for answer in batch:
                    self.put(answer)
                raise
        return batch + self._there(BATCH - len(batch))

    async def _wait_for_more(self, batch: list[Answer], linger: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(linger):
                while len(batch) < BATCH and not _presses(batch[-1]):
                    batch.append(await self._queue.get())

    def rest(self) -> list[Answer]:
        """All that is there, when nobody gathers any more."""
        return self._there(self._queue.qsize())

    def _there(self, most: int) -> list[Answer]:
        return [self._queue.get_nowait() for _ in range(min(most, self._queue.qsize()))]


def _presses(answer: Answer) -> bool:
    return answer.evidence.verdict is not Verdict.RUNNING or answer.asked.by is not Asker.POLL
