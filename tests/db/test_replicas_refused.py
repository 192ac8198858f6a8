"""What several replicas cannot work with is refused, with the reason."""

import os
from collections.abc import Callable
from datetime import timedelta
from time import sleep as time_sleep
from typing import Any

import pytest
from oma_world import only, seen, sql
from replica_places import NOW, Join, servers
from servers import until_nobody_serves
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from db import coordinated, session_locks
from db.errors import SecondProcessError, UnfitForReplicasError
from db.members import MemberRows
from db.replicas import Identity, Replica
from db.session_locks import lock_name
from db.sole import Sole, claimed

SERVERS = only("postgresql", "mariadb")


@SERVERS
def test_a_single_service_and_replicas_refuse_each_other_and_say_who_is_there(migrated: Engine, join: Join) -> None:
    replica = join("first")
    with pytest.raises(SecondProcessError, match=rf"1 replicas live; process {replica.identity.pid} on .*serving"):
        Sole(migrated).take()
    replica.release()
    until_nobody_serves(migrated)
    with claimed(migrated, "serving", 60) as sole:
        sole.sign(NOW)
        with pytest.raises(SecondProcessError, match="serving it since 2026-11-26 03:12:00Z"):
            replica.take()
        assert not replica._locks.is_open
        assert [(s.mode, s.alive) for s in servers(migrated)] == [("single", True)]
    until_nobody_serves(migrated)
    replica.take()
    assert replica.look().pollers == {0}


@SERVERS
def test_replicas_that_divide_the_jobs_otherwise_are_refused_while_they_live(migrated: Engine, join: Join) -> None:
    other = join("other")
    sql(migrated, "UPDATE service_replicas SET of_shares = 32")
    with pytest.raises(UnfitForReplicasError, match=r"in 32 shares, and this release knows 64.*\n.*Stop the replicas"):
        join("first")
    other.release()
    assert join("second").slot == 0


@SERVERS
@pytest.mark.parametrize("place", [Sole, lambda engine: Replica(engine, "by-locks")])
def test_replicas_of_a_coordination_server_are_refused_while_they_live_and_forgotten_when_they_are_dead(
    migrated: Engine, place: Callable[[Engine], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.coordinated.WATCH", 0.3)
    monkeypatch.setattr("db.coordinated.LOOK", 0.05)
    rows, me = MemberRows(migrated, Identity("coordinated"), polls=True), place(migrated)
    rows.sign(NOW, 64, ["coordinated"])

    def lives(seconds: float) -> None:
        time_sleep(seconds)
        rows.sign(NOW + timedelta(seconds=5), 64, ["coordinated"])

    with monkeypatch.context() as patch:
        patch.setattr("db.coordinated.time.sleep", lives)
        with pytest.raises(SecondProcessError, match=rf"process {os.getpid()} .*mode tooz"):
            me.take()
    assert [s.alive for s in servers(migrated)] == [None], "and nobody else is there"
    me.take()
    assert servers(migrated) == []
    me.release()


@SERVERS
def test_one_that_starts_while_the_rows_of_the_dead_are_watched_is_seen(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, comes = (MemberRows(migrated, Identity(name), polls=True) for name in ("dead", "comes"))
    dead.sign(NOW, 64, ["dead"])
    me = Sole(migrated)
    monkeypatch.setattr("db.coordinated.time.sleep", lambda _: comes.sign(NOW, 64, ["dead", "comes"]))
    with pytest.raises(SecondProcessError, match="mode tooz"):
        me.take()


@SERVERS
def test_one_that_shows_life_while_we_stood_still_is_seen(migrated: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our machine was frozen between two looks until the time of watching was over: nobody was silent by that."""
    rows, look, looks = MemberRows(migrated, Identity("coordinated"), polls=True), coordinated._rows, []
    rows.sign(NOW, 64, ["coordinated"])

    def frozen_after(engine: Engine) -> dict[int, Any]:
        found = look(engine)
        looks.append(found)
        if len(looks) == 2:
            time_sleep(2 * coordinated.WATCH)
            rows.sign(NOW + timedelta(seconds=5), 64, ["coordinated"])
        return found

    monkeypatch.setattr(coordinated, "WATCH", 0.1)
    monkeypatch.setattr(coordinated, "LOOK", 0.0)
    monkeypatch.setattr(coordinated, "_rows", frozen_after)
    with pytest.raises(SecondProcessError, match="mode tooz"):
        Sole(migrated).take()


@SERVERS
def test_a_pooler_that_gives_each_transaction_a_session_of_its_choice_is_refused(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does: two connections of ours are one session of the server."""
    pooled = create_engine(migrated.url, poolclass=StaticPool, isolation_level="AUTOCOMMIT")
    monkeypatch.setattr(session_locks, "unpooled", lambda *_: pooled)
    with pytest.raises(UnfitForReplicasError, match="a pooler gives each transaction another session"):
        Replica(pooled, "first").take()
    pooled.dispose()


@only("mariadb")
def test_a_node_of_a_galera_cluster_is_refused(migrated: Engine) -> None:
    @event.listens_for(migrated, "before_cursor_execute", retval=True)
    def in_a_cluster(*args: Any) -> tuple[str, Any]:
        statement = str(args[2])
        return ("SELECT 'wsrep_on', 'ON'" if "wsrep_on" in statement else statement), args[3]

    with pytest.raises(UnfitForReplicasError, match="each node has locks of its own"):
        Replica(migrated, "first").take()


@SERVERS
def test_there_are_no_more_replicas_than_slots(migrated: Engine, join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.replicas.POLLERS", range(1))
    join("first")
    with pytest.raises(UnfitForReplicasError, match="1 replicas of this kind are the most there can be"):
        join("second")
    assert seen(migrated, "SELECT id FROM service_replicas") == [("first",)]


def test_the_locks_have_names_that_fit_and_that_stay() -> None:
    """Replicas of two releases must agree on them."""
    engine = create_engine("postgresql+psycopg://host/oma")
    assert lock_name(engine, "share-63") == "oma-fsm-share-63-" + "2e37c8a01fb4b41fc028d023f6e2a0f1"
    assert len(lock_name(engine, "share-63")) <= 64
