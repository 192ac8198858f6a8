"""Why a schema does not fit or did not move; the text is for an operator."""

from collections.abc import Sequence

from db.errors import StoreError


class MigrationError(StoreError):
    """The schema could not be moved."""


class SchemaMismatch(MigrationError):  # noqa: N818 - the name says it
    """Database and code want different schemas. `found` is None for a database that was never migrated."""

    def __init__(self, database: str, found: str | None, wanted: str, known: bool = True) -> None:
        if not known:
            newer = found is not None and found > wanted
            release = "newer release" if newer else "release that made it: this one never had that schema"
            advice = f"the database is {'newer' if newer else 'of another release'}: install the {release}"
        else:
            advice = "run `oma-fsm db upgrade`"
        super().__init__(f"{database} is at schema {found or 'none'}, this release wants {wanted}: {advice}")
        self.database, self.found, self.wanted = database, found, wanted


class GuardMismatch(MigrationError):  # noqa: N818 - the name says it
    """The database's own guards are down, changed, or those of another specification."""

    def __init__(self, database: str, differences: list[str]) -> None:
        super().__init__(
            f"{database} is not guarded as this release wants it: {'; '.join(differences)}: run `oma-fsm db upgrade`"
        )
        self.database, self.differences = database, differences


class UnknownRevisionError(MigrationError):
    """A revision that this release does not have."""

    def __init__(self, revision: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no schema revision {revision!r}; known are {', '.join(known)}")
        self.revision, self.known = revision, known


class MigrationBusyError(MigrationError):
    """Another process has been migrating for `seconds`."""

    def __init__(self, database: str, seconds: int) -> None:
        super().__init__(
            f"{database}: another process has been migrating it for {seconds} s. Nothing was changed by this one;"
            " see what the other waits for, then try again"
        )
        self.database = database


class NotAnOmaError(MigrationError):
    """A table goes by a name of the OMA's and lacks its columns."""

    def __init__(self, table: str, missing: list[str]) -> None:
        super().__init__(
            f"table {table} is there already, without {', '.join(missing)}: not the database of an OMA."
            " Nothing was changed; check the database URL"
        )
        self.table, self.missing = table, missing


class AdoptedError(MigrationError):
    """The tables were the OMA's before this service came."""

    def __init__(self) -> None:
        super().__init__("these tables were the OMA's before oma-fsm came, and stay: downgrade to the baseline at most")


class NotAdoptedError(MigrationError):
    """The tables are an OMA's, and nobody said in which zone its times are."""

    def __init__(self, database: str, *, unfinished: bool) -> None:
        found = "was begun to be adopted, and that was not finished" if unfinished else "is an OMA's, not yet adopted"
        super().__init__(
            f"{database} {found}. Nothing was changed. Look first, then adopt it:\n"
            "    oma-fsm db adopt URL --zone ZONE --dry-run\n"
            "    oma-fsm db adopt URL --zone ZONE\n"
            "(ZONE: the time zone of the OMA's host, e.g. Europe/Berlin)"
        )
        self.database, self.unfinished = database, unfinished


class NotForAdoptionError(MigrationError):
    """There is nothing to adopt, or something is in the way; nothing was changed."""

    def __init__(self, database: str, reasons: Sequence[str]) -> None:
        told = reasons[0] if len(reasons) == 1 else "".join(f"\n  - {reason}" for reason in reasons)
        super().__init__(f"{database} cannot be adopted, and nothing was changed: {told}")
        self.database, self.reasons = database, tuple(reasons)
