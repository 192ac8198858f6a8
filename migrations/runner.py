"""Where the schema stands and how it moves. Alembic takes a second to import, so only what moves it does.

The database's guards (db/guards) are a projection of the specification, not a step in a history: they are taken
down before any revision is applied, and put up again whenever the schema is at the head.
"""

from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, inspect, text

from db import guards
from db.adopted import adoption, learn
from db.engine import read, redacted
from db.models import METADATA
from db.tables import GUARD_MODE, JOBS
from migrations.comparison import COMPARISON, VERSION_TABLE
from migrations.errors import GuardMismatch, NotAdoptedError, SchemaMismatch, UnknownRevisionError
from migrations.turn import alone

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = [
    "GuardMismatch",
    "SchemaMismatch",
    "current",
    "downgrade",
    "draft",
    "drift",
    "guard_state",
    "head",
    "is_omas",
    "lift_guards",
    "missing_columns",
    "require_current",
    "require_schema",
    "revisions",
    "set_up",
    "upgrade",
]


def upgrade(engine: Engine, revision: str = "head", *, adopted: bool | None = None) -> None:
    """Bring the schema up to `revision`, and at the head the guards to the specification.

    Nothing happens if they are there or beyond. `adopted`: see `db.guards.install`.
    An OMA database that was never migrated by us is taken over as it is, with its rows. SchemaMismatch if the
    database is newer than this code, UnknownRevisionError, NotAnOmaError if a table only looks like the OMA's,
    UnguardableError for jobs in unknown states, before anything is changed; GuardInstallError;
    MigrationBusyError after 10 min behind another process.
    """
    _refuse_unknown(revision)
    with alone(engine) as connection:
        _upgrade(connection, revision, adopted)


def _upgrade(connection: Connection, revision: str, adopted: bool | None) -> None:
    from alembic import command  # noqa: PLC0415 - slow import

    target = head() if revision == "head" else revision
    _refuse_foreign(connection)
    found = _revision(connection)
    if target == head():
        _refuse_unguardable(connection, adopted)
    if found is None or found < target:
        guards.lift(connection)
    command.upgrade(_config(connection), revision)
    _guard(connection, adopted)


def set_up(engine: Engine) -> None:
    """Give an empty database its schema. Of several that start at once one does, and the others wait for it.

    NotAdoptedError for the tables of an OMA that are not, or not wholly, adopted; what `upgrade` raises.
    """
    with alone(engine) as connection:  # on MariaDB another's half-made tables would be seen
        _refuse_unadopted(connection)
        if _revision(connection) is None:
            _upgrade(connection, "head", None)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the schema down to `revision`, or to "base"; what the steps above it stored is lost.

    UnknownRevisionError; AdoptedError instead of dropping tables that this service did not make.
    """
    from alembic import command  # noqa: PLC0415 - slow import

    _refuse_unknown(revision)
    with alone(engine) as connection:
        _refuse_foreign(connection)
        if revision not in ("head", head()):
            guards.lift(connection)
        command.downgrade(_config(connection), revision)


def lift_guards(engine: Engine) -> bool:
    """Take the guards down, for a change by hand; `upgrade` puts them up again. False if they were down.

    The service does not start without them.
    """
    with alone(engine) as connection:
        return guards.lift(connection)


def current(engine: Engine) -> str | None:
    """The revision that the database is at; None if it was never migrated."""
    with read(engine) as connection:
        return _revision(connection)


def revisions() -> tuple[str, ...]:
    """All revisions, oldest first: the time stamps by which the files' names begin."""
    return tuple(sorted(path.name.partition("_")[0] for path in (_here() / "versions").glob("*_*.py")))


def head() -> str:
    """The revision that this code wants."""
    return revisions()[-1]


def require_schema(engine: Engine) -> None:
    """SchemaMismatch, with what to do, unless the database is at the revision that this code wants.

    From here on the engine reads and writes an adopted database's times as its OMA does.
    """
    found = current(engine)
    if found != head():
        raise SchemaMismatch(redacted(engine.url), found, head(), known=found is None or found in revisions())
    learn(engine)


def _refuse_unadopted(connection: Connection) -> None:
    """NotAdoptedError for the tables of an OMA that are not, or not wholly, adopted."""
    if not is_omas(connection):
        return
    present = adoption(connection)
    if present is None or present.finished_at is None:
        raise NotAdoptedError(redacted(connection.engine.url), unfinished=present is not None)


def is_omas(connection: Connection) -> bool:
    """True if there are jobs in a table that this service did not make: an OMA names its keys otherwise."""
    there = inspect(connection)
    if not there.has_table(str(JOBS.name)):
        return False
    own = f"fk_{JOBS.name}_vm_context_id"
    return not any(key["name"] == own for key in there.get_foreign_keys(str(JOBS.name)))


def require_current(engine: Engine) -> None:
    """SchemaMismatch or GuardMismatch, with what to do, unless schema and guards are what this code wants."""
    require_schema(engine)
    with read(engine) as connection:
        differences = guards.differences(connection)
    if differences:
        raise GuardMismatch(redacted(engine.url), differences)


def guard_state(engine: Engine) -> tuple[guards.Mode, list[str]]:
    """How the database is guarded, and what is not as it should be. Of a database at the head only."""
    with read(engine) as connection:
        return guards.mode_of(connection), guards.differences(connection)


def drift(engine: Engine) -> list[Any]:
    """What would have to change to make our tables what the models say and the guards what the specification says.

    First what Alembic would change, then what is said of the guards; empty if all agree.
    """
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - slow import
    from alembic.migration import MigrationContext  # noqa: PLC0415 - slow import

    with read(engine) as connection:
        tables = compare_metadata(MigrationContext.configure(connection, opts=dict(COMPARISON)), METADATA)
        return [*tables, *(guards.differences(connection) if _has_guards(connection) else ())]


def draft(engine: Engine, message: str) -> None:
    """For developers: write the next version's file from the difference between models and database."""
    from alembic import command  # noqa: PLC0415 - slow import

    with alone(engine) as connection:
        command.revision(_config(connection), message, autogenerate=True, rev_id=f"{datetime.now(UTC):%Y%m%d%H%M%S}")


def missing_columns(connection: Connection) -> dict[str, list[str]]:
    """The columns of an OMA's tables that these tables lack, by table; nothing for tables that are not there at all."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow import

    baseline = ScriptDirectory.from_config(_config(connection)).get_revision(revisions()[0])
    found: dict[str, list[str]] = baseline.module.missing(inspect(connection))
    return found


def _here() -> Path:
    return Path(str(resources.files("migrations")))


def _config(connection: Connection) -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - slow import

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_here()).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - a constant
    return found


def _guard(connection: Connection, adopted: bool | None) -> None:
    """An older schema has other tables, and is guarded by the release that serves it."""
    if _revision(connection) == head():
        guards.install(connection, adopted=adopted)


def _refuse_unguardable(connection: Connection, adopted: bool | None) -> None:
    """Before the first step: MariaDB takes none back."""
    if adopted is None and _has_guards(connection):
        adopted = guards.mode_of(connection) is guards.Mode.ADOPTED
    if not adopted and inspect(connection).has_table(str(JOBS.name)):
        guards.require_guardable(connection)


def _has_guards(connection: Connection) -> bool:
    return inspect(connection).has_table(str(GUARD_MODE.name))


def _refuse_unknown(revision: str) -> None:
    known = ("base", *revisions(), "head")
    if revision not in known:
        raise UnknownRevisionError(revision, known)


def _refuse_foreign(connection: Connection) -> None:
    found = _revision(connection)
    if found is not None and found not in revisions():
        raise SchemaMismatch(redacted(connection.engine.url), found, head(), known=False)
