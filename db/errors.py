"""What can go wrong between a request and the database, as values; the text is for an operator."""

from collections.abc import Mapping, Sequence


class StoreError(Exception):
    """Any refusal of the store."""


class NotFoundError(StoreError):
    """An id that nothing goes by."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"no {kind} {key!r}")
        self.kind, self.key = kind, key


class ConflictError(StoreError):
    """The request contradicts what is stored."""


class RecoveryRunningError(StoreError):
    """A recovery of all jobs is under way: `run_id`, at another replica (`where`) or at this one (None)."""

    def __init__(self, run_id: int, where: str | None = None) -> None:
        at = f" at replica {where}" if where else ""
        super().__init__(f"recovery run {run_id} is under way{at}; wait for it or read its state")
        self.run_id, self.where = run_id, where


class LostRaceError(StoreError):
    """Somebody else changed a job each time we were about to; nothing was written.

    `won` says by job what it has become, and by whom, as far as that is known.
    """

    def __init__(self, won: Mapping[str, str]) -> None:
        named = [f"{job_id} ({how})" for job_id, how in list(won.items())[:3]]
        more = f" and {len(won) - 3} others" if len(won) > 3 else ""
        super().__init__(
            f"{', '.join(named)}{more}: changed by another writer meanwhile; nothing was written."
            " Look at the job as it is now, then repeat what is still wanted"
        )
        self.won = won


class SecondProcessError(StoreError):
    """Another process serves the same database. `holder` says who, where and since when, if that is known."""

    def __init__(self, database: str, holder: str | None) -> None:
        super().__init__(
            f"another process serves {database}: {holder or 'it has not yet said who it is'}.\n"
            "Nothing was started or changed. Stop the other one, or give this one a database of its own.\n"
            "If its host is gone, the lock ends with its connection, after a minute at most: try again then"
        )
        self.database, self.holder = database, holder


class UnfitForReplicasError(StoreError):
    """Several replicas cannot serve this database, or not as this one is set up; the text says why."""

    def __init__(self, database: str, why: str, remedy: str) -> None:
        super().__init__(
            f"several replicas cannot serve {database} so: {why}.\nNothing was started or changed. {remedy}"
        )
        self.database, self.why = database, why


class LostSessionError(StoreError):
    """The session that held this replica's locks is gone, or is not ours alone; others may hold them by now."""

    def __init__(self, database: str) -> None:
        super().__init__(f"the session at {database} with this replica's locks was lost; it is begun again")


class UnwritableError(StoreError):
    """The folder of the SQLite file takes no new files: then nothing can be written to the database either."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"the database's folder cannot be written to ({path}: {why}).\n"
            "Nothing was started or changed. Make room, mount the disk for writing, or give the folder to the user\n"
            "under whom the service runs, and start it again"
        )
        self.path = path


class UnreadableJobError(StoreError):
    """A row that does not make sense to this release: only that job suffers."""

    def __init__(self, job_id: str, why: str) -> None:
        super().__init__(f"job {job_id} cannot be read ({why}); it is left alone until its row is mended")
        self.job_id = job_id


class UnknownStatesError(StoreError):
    """Jobs in states that the specification does not have: this release must not serve them.

    `jobs` are (id, state) of the first of `count` rows.
    """

    def __init__(self, jobs: Sequence[tuple[str, str | None]], count: int, known: Sequence[str]) -> None:
        super().__init__(
            f"{_many(count)} in a state that this release does not know, so it must not serve this database: "
            f"{_named(jobs, count)}.\n"
            "Nothing was started or changed. Either start the release that knows these states and let it end them,\n"
            f"or give the rows of replication_jobs a status that this release knows ({', '.join(known)}):\n"
            "replicating if the copy may still run, for then the VMA is asked and the job is put right;\n"
            "completed or failed if it is over.\n"
            "`oma-fsm spec diff HASH current` shows what became of a state (HASH: spec_hash in job_history)."
        )
        self.jobs, self.count = jobs, count


class UnknownSpecError(StoreError):
    """A hash under which this database keeps no specification."""

    def __init__(self, spec_hash: str, known: Sequence[str]) -> None:
        kept = ", ".join(known) or "none yet: they are kept from the first start of the service on"
        super().__init__(f"no specification {spec_hash!r} is kept in this database; kept are {kept}")
        self.spec_hash, self.known = spec_hash, known


class UnguardableError(StoreError):
    """Jobs in states that the specification does not have: guards that let none in cannot be put up around them."""

    def __init__(self, jobs: Sequence[tuple[str, str | None]], count: int, foreign: bool) -> None:
        adopt = "An OMA wrote them: if it goes on writing here, run `oma-fsm db adopt`.\n" if foreign else ""
        super().__init__(
            f"{_many(count)} in a state that this release does not know: {_named(jobs, count)}.\n"
            f"The database's guards cannot be put up around them; nothing was changed.\n{adopt}"
            "To mend them by hand: `oma-fsm db lift-guards`, give these rows of replication_jobs a status that this\n"
            "release knows, and `oma-fsm db upgrade` again."
        )
        self.jobs, self.count = jobs, count


class GuardInstallError(StoreError):
    """The database did not let its guards be made."""

    def __init__(self, database: str, why: str) -> None:
        super().__init__(
            f"{database}: its guards could not be put up ({why}).\n"
            "Its user needs the right to make triggers. MariaDB: GRANT TRIGGER, and where the binary log is on, SUPER\n"
            "or log_bin_trust_function_creators = 1. PostgreSQL: it owns the tables. Then run `oma-fsm db upgrade`."
        )
        self.database = database


class GuardRefusedError(StoreError):
    """The database refused a write that the specification does not have: raw SQL spoiled a row, or this is a bug."""

    def __init__(self, said: str) -> None:
        super().__init__(
            f"the database refused it, nothing was written: {said}."
            " See docs/operations.md, 'The database refuses': look at the job with `oma-fsm jobs show JOB`"
        )
        self.said = said


def _named(jobs: Sequence[tuple[str, str | None]], count: int) -> str:
    named = ", ".join(f"{job_id} ({state or 'no state'})" for job_id, state in jobs)
    return named + (f" and {count - len(jobs)} more" if count > len(jobs) else "")


def _many(jobs: int) -> str:
    return "1 job stands" if jobs == 1 else f"{jobs} jobs stand"
