"""Keeps the schedule in line with the shares that this replica holds."""

import asyncio
from typing import Final

import structlog

from poller.ownership import Change
from poller.poller import Poller
from poller.recovery import close_cut_off

log = structlog.get_logger(__name__)
TURN: Final = 1.0  # seconds between two looks at the shares
PICK_UP_EVERY: Final = 2  # turns: jobs made or reopened at another replica are found by looking


class Sharing:
    """A loop: hold the shares, drop what was lost, and ask at once about what was gained."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self.begun = asyncio.Event()  # we hold something; or serve alone, and hold everything
        if not poller.ownership.shared:
            self.begun.set()
        self._turns = 0

    async def loop(self) -> None:
        """Turn after turn, until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(TURN)

    async def turn(self) -> None:
        """One look, and what follows from it."""
        self._poller.poll_log.lives()
        change = await self._poller.ownership.look()
        dropped = self._poller.guests.strangers() if change.lost else []
        for job_id in dropped:
            self._poller.drop(job_id)
        self._turns += 1
        self._report(change, len(dropped))
        try:
            await self._follow(change)
        except Exception as error:  # the next turn looks again
            log.warning("jobs of our shares cannot be looked up; tried again in a second", why=str(error)[:200])

    async def _follow(self, change: Change) -> None:
        first = bool(change.gained) and not self.begun.is_set()
        if first:
            self.begun.set()  # recovery asks about all of them
        elif change.gained or self._turns % PICK_UP_EVERY == 0:
            await self._pick_up()
        if change.gained:
            await close_cut_off(self._poller)

    async def _pick_up(self) -> None:
        for job_id in await asyncio.to_thread(self._poller.store.active_ids):
            if self._is_missing(job_id):
                self._poller.put(job_id)

    def _is_missing(self, job_id: str) -> bool:
        """A question of before the share was lost and gained again is waited for: one at a time."""
        poller = self._poller
        return job_id not in poller.schedule and poller.ownership.owns(job_id) and not poller.is_busy(job_id)

    def _report(self, change: Change, dropped: int) -> None:
        self._poller.metrics.shares.set(change.held)
        if change.lost:
            log.info("Shares given up", shares=len(change.lost), held=change.held, jobs=dropped)
        if change.gained:
            log.info("Shares taken over; their jobs are asked about now", shares=len(change.gained), held=change.held)
