"""Jobs of other replicas that something happened to here: they are asked about once, at once, and leave again."""

from poller.ownership import Ownership
from poller.schedule import Schedule


class Guests:
    """Whose the jobs of a schedule are."""

    def __init__(self, ownership: Ownership, schedule: Schedule) -> None:
        self._ownership, self._schedule = ownership, schedule
        self._jobs: set[str] = set()

    def note(self, job_id: str) -> None:
        """A job is put into the schedule: a guest, if it is not ours."""
        if not self._ownership.owns(job_id):
            self._jobs.add(job_id)

    def forget(self, job_id: str) -> None:
        """A job has left the schedule."""
        self._jobs.discard(job_id)

    def may_ask(self, job_id: str) -> bool:
        """True for a job of ours, and for a guest."""
        return self._ownership.owns(job_id) or job_id in self._jobs

    def strangers(self) -> list[str]:
        """The scheduled jobs that we may not ask about: their share was lost."""
        return [entry.job_id for entry in self._schedule if not self.may_ask(entry.job_id)]

    def leaves(self, job_id: str) -> bool:
        """True for an answered job of another replica, unless more happened to it here while it was asked about."""
        entry = self._schedule.get(job_id)
        return not self._ownership.owns(job_id) and not (entry is not None and entry.again)
