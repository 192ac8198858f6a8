"""oma-fsm replicas: who serves the database, with or without a running service."""

from datetime import UTC, datetime

import pytest
from servers import kinds, shown
from sqlalchemy import Engine
from typer.testing import CliRunner

from cli.main import app
from db.replicas import Replica
from db.sole import claimed

NOW = datetime(2026, 11, 26, 3, 12, tzinfo=UTC)


def listed(engine: Engine) -> list[list[str]]:
    """The lines of the table, without what differs from run to run."""
    url = shown(engine.url)
    told = CliRunner().invoke(app, ["replicas", "--database-url", url], env={"COLUMNS": "250"})
    assert told.exit_code == 0, told.output
    return [line.split() for line in told.output.splitlines()]


def test_a_database_that_nobody_serves_says_so(migrated: Engine) -> None:
    assert listed(migrated) == [["nobody", "polls:", "start", "a", "service", "that", "does"]]


def test_who_serves_alone_is_listed_and_lives_as_far_as_the_database_can_tell(migrated: Engine) -> None:
    with claimed(migrated, "serving", 60) as sole:
        sole.sign(NOW)
        alive = "?" if migrated.dialect.name == "sqlite" else "yes"
        [_head, line] = listed(migrated)
        assert line[:2] == ["single", alive]
        assert line[4:] == ["yes", "all", "2026-11-26", "03:12:00Z"]


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind != "sqlite"], indirect=True, scope="session")
def test_replicas_are_listed_with_what_they_hold_and_the_dead_last(migrated: Engine) -> None:
    first, dead = Replica(migrated, "first"), Replica(migrated, "dead")
    for replica, shares in ((first, 0), (dead, 32)):
        replica.take()
        replica.sign(NOW, shares)
    first.sign(NOW, 64)
    dead._locks.close()
    [_head, one, two] = listed(migrated)
    assert (one[0], one[1], one[4:8], one[-1]) == ("database", "yes", ["yes", "64", "of", "64"], "first")
    assert (two[1], two[5:8], two[-1]) == ("no", ["0", "of", "64"], "dead")
    first.release()
