"""What can go wrong between a request and the database, as values; the text is for an operator."""


class StoreError(Exception):
    """Any refusal of the store."""


class NotFoundError(StoreError):
    """An id that nothing goes by."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"no {kind} {key!r}")
        self.kind, self.key = kind, key


class ConflictError(StoreError):
    """The request contradicts what is stored."""


class LostRaceError(StoreError):
    """Somebody else changed a job each time we were about to; nothing was written."""

    def __init__(self, job_ids: list[str]) -> None:
        more = f" or {len(job_ids) - 3} others" if len(job_ids) > 3 else ""
        super().__init__(f"{', '.join(job_ids[:3])}{more}: changed by another writer meanwhile; nothing was written")
        self.job_ids = job_ids


class UnreadableJobError(StoreError):
    """A row that does not make sense to this release: only that job suffers."""

    def __init__(self, job_id: str, why: str) -> None:
        super().__init__(f"job {job_id} cannot be read ({why}); it is left alone until its row is mended")
        self.job_id = job_id
