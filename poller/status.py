"""How one job is polled, for a program that embeds the service."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from db.load import Loaded, PollingRow
from fsm.clock import ZERO

_BLANK = PollingRow(is_active=False)


@dataclass(frozen=True, slots=True)
class JobPollingStatus:
    """As stored, but for the first two. Times aware UTC; an answer of whatever kind is a successful poll.

    `vma_reachable`: as this job last found its appliance; None before the first poll.
    """

    job_id: str
    is_polling: bool  # it is in the schedule of this process
    is_polled: bool  # it is asked about, here or by another replica
    job_age: timedelta
    is_active: bool  # its polling is switched on
    started_polling_at: datetime | None
    last_poll_at: datetime | None  # the last one that was answered
    next_due_at: datetime | None
    consecutive_errors: int
    last_error: str | None
    last_verdict: str | None
    vma_reachable: bool | None
    total_polls: int
    successful_polls: int
    polled_by: str | None  # the replica whose answer was applied last

    @property
    def success_rate(self) -> float | None:
        """0-100; None before the first poll."""
        return 100.0 * self.successful_polls / self.total_polls if self.total_polls else None

    @classmethod
    def of(cls, loaded: Loaded, now: datetime, *, is_polling: bool, is_polled: bool) -> Self:
        """Of a stored job."""
        facts, row = loaded.facts, loaded.polling or _BLANK
        return cls(
            facts.job_id, is_polling, is_polled and row.is_active, max(now - facts.created_at, ZERO), row.is_active,
            row.started_polling_at, row.last_poll_at, row.next_due_at, row.consecutive_errors, row.last_error_message,
            row.last_verdict, facts.memory.unreachable is None if row.total_polls else None,
            row.total_polls, row.successful_polls, row.polled_by,
        )  # fmt: skip
