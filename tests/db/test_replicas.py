"""Several replicas at one database server: who is there, and who holds what."""

import time

import pytest
from oma_world import only, sql
from replica_places import NOW, Join, servers
from sqlalchemy import Engine

from db.errors import LostSessionError
from db.replicas import Replica
from db.roster import SHARES

pytestmark = only("postgresql", "mariadb")


def end_session_of(replica: Replica, engine: Engine) -> None:
    """An administrator, or a restart of the server, ends the connection that holds the locks."""
    session = replica._locks._session_id(replica._locks._connection)  # type: ignore[arg-type]
    kill = "SELECT pg_terminate_backend({})" if engine.dialect.name == "postgresql" else "KILL {}"
    sql(engine, kill.format(session))


def until_gone(replica: Replica, slot: int | None) -> None:
    """Until the server has noticed that the holder of a slot is gone, and let go of the shares that nobody else has."""
    for _ in range(200):
        seen = replica.look()
        if slot not in seen.pollers and not seen.others:
            return
        time.sleep(0.05)  # the server cannot signal us
    pytest.fail("not within 10 s")


# --- who is there ----------------------------------------------------------------------------------------


def test_each_has_a_slot_of_its_own_and_sees_the_others_and_who_only_answers_the_api_is_none_of_them(
    migrated: Engine, join: Join
) -> None:
    first, second = join("first"), join("second")
    join("api", polls=False)
    assert first.look().pollers == second.look().pollers == {0, 1}
    assert [(s.id, s.alive, s.polls, s.since) for s in servers(migrated)] == [
        ("first", True, True, NOW), ("second", True, True, NOW), ("api", True, False, NOW),
    ]  # fmt: skip
    assert first.living() == {"first", "second", "api"}
    second.release()
    assert first.look().pollers == {0}
    assert [s.id for s in servers(migrated)] == ["first", "api"]


def test_to_take_a_place_twice_is_to_keep_it(join: Join) -> None:
    replica = join("first")
    replica.take_shares([3])
    replica.take()
    assert (replica.slot, replica.look().mine) == (0, {3})


def test_who_comes_back_to_another_slot_leaves_the_row_of_the_old_one_to_its_holder(
    migrated: Engine, join: Join
) -> None:
    back = join("back")
    end_session_of(back, migrated)
    other = Replica(migrated, "other")
    while other.slot != back.slot:  # the server may take a moment to notice
        other.release()
        other.take()
    other.sign(NOW)
    back.take()
    back.sign(NOW)
    assert [(s.slot, s.id) for s in servers(migrated)] == [(0, "other"), (1, "back")]
    other.release()
    assert [(s.slot, s.id) for s in servers(migrated)] == [(1, "back")]


def test_a_share_is_one_replicas_until_it_gives_it_or_its_session_ends(migrated: Engine, join: Join) -> None:
    first, second = join("first"), join("second")
    assert first.take_shares([1, 2, 3]) == {1, 2, 3}
    assert second.take_shares([3, 4]) == {4}
    seen_now = second.look()
    assert (seen_now.mine, seen_now.others, len(seen_now.free)) == ({4}, {1, 2, 3}, SHARES - 4)
    first.give_shares([3])
    assert second.take_shares([3]) == {3}
    end_session_of(first, migrated)
    until_gone(second, 0)
    assert second.take_shares([1, 2]) == {1, 2}
    with pytest.raises(Exception, match=r"(?i)terminat|gone away|lost connection|closed"):
        first.look()
    with pytest.raises(LostSessionError):
        first.look()
    assert [(s.id, s.alive) for s in servers(migrated)] == [("second", True), ("first", False)]
    first.take()
    assert (first.look().mine, first.look().others) == (frozenset(), {1, 2, 3, 4})


def test_the_server_takes_a_silent_replica_for_dead(join: Join) -> None:
    other, silent = join("other"), join("silent", silence=1)
    silent.take_shares(range(SHARES))
    until_gone(other, silent.slot)
    assert len(other.take_shares(range(SHARES))) == SHARES


def test_replicas_of_two_databases_of_one_server_do_not_meet(join: Join, engine: Engine) -> None:
    """Names of MariaDB's locks are the whole server's."""
    replica = join("here")
    stranger = Replica(engine, "there")
    stranger.take()
    assert stranger.take_shares(range(SHARES)) == set(range(SHARES))
    assert len(replica.look().free) == SHARES
    stranger.release()
