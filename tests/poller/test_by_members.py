"""Replicas that find each other at a coordination server: who is there, who holds what, and what if it is away."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from coordination_servers import RedisServer, no_redis
from servers import kinds, until_nobody_serves
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from db import roster
from db.engine import read, write
from db.errors import SecondProcessError, UnfitForReplicasError
from db.members import MemberRows
from db.replicas import Identity, Replica
from db.roster import SHARES
from db.sole import claimed
from poller.by_members import ByMembers
from poller.coordination import FAREWELL, PATIENCE, Group
from poller.ownership import CoordinationAwayError

SERVERS = [kind for kind in kinds() if kind != "sqlite"]
# What is of the coordination server alone is tried with one database, what is of its rows with each.
pytestmark = pytest.mark.skipif(bool(no_redis()), reason="no redis-server")
each_database = pytest.mark.parametrize("kind", SERVERS, indirect=True, scope="session")
one_database = pytest.mark.parametrize("kind", SERVERS[:1], indirect=True, scope="session")
NOW = datetime(2026, 11, 26, 3, 12, tzinfo=UTC)
ALL = frozenset(range(SHARES))
QUICK = 2  # seconds of silence to be dead after: a heart beats twice in it, and this machine may stop for half of it
Join = Callable[..., ByMembers]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that nobody else uses."""
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture(scope="session")
def shared_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A coordination server for all tests that leave it alone; another kind of it can be named."""
    if other := os.environ.get("OMA_FSM_TEST_COORDINATION"):
        yield other
        return
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def join(migrated: Engine, shared_url: str) -> Iterator[Join]:
    """Makes replicas that are in their places; they leave at the end."""
    made: list[ByMembers] = []

    def begin(name: str, url: str = shared_url, **more: Any) -> ByMembers:
        member = ByMembers(migrated, url, name, **more)
        made.append(member)
        member.take()
        member.sign(NOW)
        return member

    yield begin
    for member in made:
        member.release()


def until(happens: Callable[[], bool], seconds: float = 10.0) -> None:
    """Until the server has noticed; it cannot signal us."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def alive(engine: Engine, members: Any = None) -> list[tuple[str | None, bool | None]]:
    with read(engine) as connection:
        return [(one.id, one.alive) for one in roster.servers(connection, members)]


def silence(member: ByMembers) -> None:
    """As if its process had been killed."""
    coordinator = member._group._coordinator
    assert coordinator is not None
    coordinator.heart.stop()
    coordinator.heart.wait()


# --- who is there, and who holds what -------------------------------------------------------------------


@each_database
def test_each_share_is_one_replicas_and_who_only_answers_the_api_has_none(join: Join, migrated: Engine) -> None:
    first, second, api = join("first"), join("second"), join("api", polls=False)
    one, two, none = first.hold(), second.hold(), api.hold()
    assert (one.mine | two.mine, one.mine & two.mine, len(one.mine)) == (ALL, frozenset(), SHARES // 2)
    assert (one.others, two.others) == (two.mine, one.mine)
    assert (none.mine, none.others) == (frozenset(), ALL)
    assert first.living() == {"first", "second", "api"}
    assert alive(migrated, api.members()) == [("first", True), ("second", True), ("api", True)]
    second.release()
    assert first.hold().mine == ALL
    assert alive(migrated) == [("first", None), ("api", None)], "who did not ask the server cannot know"


@one_database
def test_a_silent_replica_is_taken_for_dead_and_one_that_wakes_finds_its_place_again(
    join: Join, migrated: Engine
) -> None:
    silent, other = join("silent", expiry=QUICK), join("other", expiry=QUICK)
    assert len(other.hold().mine) == SHARES // 2
    silence(silent)
    until(lambda: other.hold().mine == ALL)
    assert alive(migrated, other.members()) == [("other", True), ("silent", False)]
    back = silent.hold()
    assert len(back.mine) == SHARES // 2, "it is a member again before it believes anything"
    assert other.hold().others == back.mine


@one_database
def test_between_looks_the_heart_beats_but_not_for_an_event_loop_that_is_stuck(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, other = join("busy", expiry=QUICK), join("other", expiry=QUICK)
    busy.hold()
    began = time.monotonic()
    while time.monotonic() - began < 1.5 * QUICK:  # a silent one would be dead
        assert len(other.hold().mine) == SHARES // 2, "its last look was less than 8 s ago"
        time.sleep(0.1)
    monkeypatch.setattr("poller.coordination.BUSY", 0.0)
    until(lambda: other.hold().mine == ALL)


@one_database
def test_replicas_of_two_databases_at_one_coordination_server_do_not_meet(
    join: Join, shared_url: str, migrated: Engine
) -> None:
    here = join("here")
    with write(migrated) as connection:  # as if this were the other database
        name = connection.scalar(text("SELECT name FROM coordination_group"))
        connection.execute(text("UPDATE coordination_group SET name = 'another'"))
    there = join("there")
    assert (here.hold().mine, there.hold().mine) == (ALL, ALL)
    assert str(name).startswith("oma-fsm-")


@each_database
def test_replicas_that_begin_at_once_make_one_group(migrated: Engine) -> None:
    names: list[str] = []
    rows = [MemberRows(migrated, Identity(f"replica-{n}"), polls=True) for n in range(8)]
    threads = [Thread(target=lambda one=one: names.append(one.group())) for one in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(names), len(set(names))) == (8, 1)


# --- what cannot work -----------------------------------------------------------------------------------


@one_database
def test_replicas_that_divide_the_jobs_otherwise_are_refused_and_do_not_count(
    join: Join, migrated: Engine, shared_url: str
) -> None:
    first = join("first")
    other = ByMembers(migrated, shared_url, "other")
    other._group._says["shares"] = 32  # type: ignore[index]
    other._name = first._name
    other._group.meet(str(first._name))
    assert first.hold().mine == ALL, "whatever the other does, no share is left to it"
    late = ByMembers(migrated, shared_url, "late")
    with pytest.raises(
        UnfitForReplicasError, match=r"other divides the jobs into 32 shares.*64.*\n.*Stop the replicas"
    ):
        late.sign(NOW)
    other.release()
    assert first.living() >= {"first"}
    assert set(Group(shared_url, "looks", {}).peek(str(first._name))) == {"first"}, "who is refused is not there"


@each_database
def test_there_are_no_more_replicas_than_places(join: Join, monkeypatch: pytest.MonkeyPatch, migrated: Engine) -> None:
    monkeypatch.setattr("db.members.POLLERS", range(1))
    first = join("first")
    with pytest.raises(UnfitForReplicasError, match="1 replicas of this kind are the most there can be"):
        join("second")
    assert first.hold().mine == ALL
    first.release()
    assert join("third").hold().mine == ALL


@each_database
def test_a_service_of_another_mode_is_refused_if_it_was_there_and_complained_of_if_it_comes(
    join: Join, migrated: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.coordinated.WATCH", 0.0)  # where it is not seen: by locks of another node of a cluster
    with claimed(migrated, "serving", 60) as sole:
        sole.sign(NOW)
        with pytest.raises(SecondProcessError, match="serving it since 2026-11-26 03:12:00Z"):
            join("first")
    until_nobody_serves(migrated)
    first = join("second")
    with capture_logs() as logs:
        assert first.check()
        assert logs == []
        by_locks = Replica(migrated, "by-locks")
        by_locks.take()
        assert first.check()
        by_locks.release()
    assert [line["log_level"] for line in logs] == ["error"]
    assert "1 replicas live" in logs[0]["other"]


@each_database
def test_replicas_that_ask_two_coordination_servers_are_complained_of(
    redis: RedisServer, join: Join, migrated: Engine
) -> None:
    first = join("first")
    with capture_logs() as logs:
        stranger = join("stranger", redis.url)
        first.hold()
        first.sign(NOW)
    stranger.release()
    assert [line["replica"] for line in logs] == ["stranger"]


# --- a server that is away ------------------------------------------------------------------------------


@one_database
def test_a_server_that_hangs_is_told_in_time_and_found_again(
    redis: RedisServer, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = join("first", redis.url)
    monkeypatch.setattr("poller.coordination.PATIENCE", 0.3)
    redis.freeze()
    with pytest.raises(CoordinationAwayError, match=r"redis://:\*\*\*@127.0.0.1:\d+: no answer within 0.3 s"):
        member.hold()
    waits = []
    for _ in range(5):
        began = time.monotonic()
        with pytest.raises(CoordinationAwayError, match=r"no answer for \d s"):
            member.hold()
        waits.append(time.monotonic() - began)
    assert min(waits) < 0.2, "nobody waits behind a call that is stuck"
    redis.thaw()
    monkeypatch.undo()
    until(lambda: member.hold().mine == ALL)


@one_database
def test_a_server_that_was_restarted_without_its_memory_knows_all_again_at_the_next_look(
    redis: RedisServer, join: Join
) -> None:
    first, second = join("first", redis.url), join("second", redis.url)
    before = first.hold(), second.hold()
    redis.forget()
    first.hold()
    assert (second.hold(), first.hold()) == before[::-1]


@one_database
def test_a_service_begins_without_the_server_and_finds_the_others_when_it_is_there(
    redis: RedisServer, join: Join, monkeypatch: pytest.MonkeyPatch, migrated: Engine
) -> None:
    redis.stop()
    monkeypatch.setattr("poller.coordination.PATIENCE", 0.1)
    with capture_logs() as logs:
        member = join("first", redis.url)
        other = join("second", redis.url)
    assert [line["event"].split(";")[0] for line in logs] == ["The coordination server is away"] * 2
    assert (member.members(), member.living()) == (None, {"first", "second"}), "all who are known may live"
    assert alive(migrated, member.members()) == [("first", None), ("second", None)]
    redis.start()
    monkeypatch.undo()

    def shared() -> bool:
        try:
            return len(member.hold().mine) == len(other.hold().mine) == SHARES // 2
        except CoordinationAwayError:
            return False

    until(shared, 20)


@one_database
def test_who_leaves_does_not_wait_for_a_server_that_hangs(
    redis: RedisServer, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = join("first", redis.url)
    assert FAREWELL <= 1, "a service has 8 s to stop in"
    monkeypatch.setattr("poller.coordination.FAREWELL", 0.1)
    redis.freeze()
    began = time.monotonic()
    member.release()
    assert time.monotonic() - began < PATIENCE - 0.1, "sooner than any other call is given up"
    redis.thaw()
