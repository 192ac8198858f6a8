"""oma-fsm replicas: who serves the database, with or without a running service."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from coordination_servers import PASSWORD, RedisServer, no_redis
from servers import kinds, shown
from sqlalchemy import Engine
from typer.testing import CliRunner

from cli.main import app
from db.replicas import Replica
from db.sole import claimed
from poller.by_members import ByMembers

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


@pytest.mark.skipif(bool(no_redis()), reason="no redis-server")
@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind != "sqlite"][:1], indirect=True, scope="session")
def test_who_lives_by_the_coordination_server_is_asked_of_it(
    migrated: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RedisServer(tmp_path) as redis:
        living, dead = (ByMembers(migrated, redis.url, name) for name in ("living", "dead"))
        for member in (living, dead):
            member.sign(NOW, 32)
        dead._group.leave()
        told = listed(migrated)
        assert [(line[0], line[1], line[-1]) for line in told[1:3]] == [("tooz", "?", "living"), ("tooz", "?", "dead")]
        assert "whether replicas of mode tooz live" in " ".join(told[3])
        monkeypatch.setenv("OMA_FSM_REPLICAS__MODE", "tooz")
        monkeypatch.setenv("OMA_FSM_REPLICAS__COORDINATION_URL", redis.url)
        [_head, *told] = listed(migrated)
        assert [(line[1], line[5], line[-1]) for line in told] == [("yes", "32", "living"), ("no", "0", "dead")]
        redis.freeze()
        told = listed(migrated)
        assert " ".join(told[0]).startswith("who lives is not known: redis://:***@127.0.0.1:")
        assert told[2][1] == "?"


def test_the_password_of_the_coordination_server_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMA_FSM_DATABASE_URL", "postgresql://host/oma")
    monkeypatch.setenv("OMA_FSM_REPLICAS__MODE", "tooz")
    monkeypatch.setenv("OMA_FSM_REPLICAS__COORDINATION_URL", f"redis://:{PASSWORD}@host:6379")
    for options in ([], ["--toml"]):
        shown = CliRunner().invoke(app, ["settings", *options], env={"COLUMNS": "250"}).output
        assert "redis://:***@host" in shown
        assert PASSWORD not in shown
