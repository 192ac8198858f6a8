"""Who hears of each job that was asked about."""

from collections.abc import Callable

import structlog

from db.apply import Applied

log = structlog.get_logger(__name__)
Listener = Callable[[str, Applied | None], None]


class Listeners(list[Listener]):
    """Called with the job and what was applied; None: nothing came of the question."""

    def tell(self, job_id: str, applied: Applied | None) -> None:
        """Tell all of them, whatever one of them does."""
        for listener in list(self):
            try:
                listener(job_id, applied)
            except Exception:  # the other answers of the batch must be settled
                log.exception("a listener failed", job_id=job_id)
