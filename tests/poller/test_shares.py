"""How the shares of all jobs are divided: fair, handed over within two looks, and never trusted for too long."""

import asyncio
import zlib
from collections.abc import Iterable

import pytest
from model_vma import Clock
from structlog.testing import capture_logs

from db.replicas import Seen
from db.roster import POLLERS, SHARES
from poller.by_locks import TRUST, ByLocks, plan
from poller.ownership import Change
from poller.shares import SharedOwnership, share_of

ALL = frozenset(range(SHARES))


class Locks:
    """The lock manager of a database server: who holds which share, and which slots are taken."""

    def __init__(self) -> None:
        self.owner: dict[int, int] = {}
        self.slots: set[int] = set()

    def seen_by(self, slot: int) -> Seen:
        mine = frozenset(share for share, owner in self.owner.items() if owner == slot)
        return Seen(frozenset(self.slots) & frozenset(POLLERS), mine, frozenset(self.owner) - mine)

    def turn(self, slots: Iterable[int]) -> None:
        """Each of the replicas looks once, and does what it plans."""
        for slot in slots:
            todo = plan(self.seen_by(slot), slot)
            for share in todo.give:
                assert self.owner.pop(share) == slot
            for share in todo.take:
                assert self.owner.setdefault(share, slot) == slot, "planned to take what another holds"

    def leave(self, slot: int) -> None:
        self.slots.discard(slot)
        self.owner = {share: owner for share, owner in self.owner.items() if owner != slot}

    def held(self) -> list[int]:
        return sorted(len(self.seen_by(slot).mine) for slot in self.slots)


@pytest.mark.parametrize(
    ("members", "held"),
    [(1, [64]), (2, [32, 32]), (3, [20, 22, 22]), (5, [12, 13, 13, 13, 13]), (32, [2] * 32)],
)
def test_every_share_is_held_and_nobody_holds_more_than_a_fair_part(members: int, held: list[int]) -> None:
    locks = Locks()
    for slot in range(members):  # one after the other, each finds what the others leave
        locks.slots.add(slot)
        locks.turn(sorted(locks.slots, reverse=True))
    locks.turn(sorted(locks.slots))
    assert locks.held() == held
    assert set(locks.owner) == ALL


def test_when_one_of_three_goes_or_comes_the_others_share_out_what_changed_within_two_looks() -> None:
    locks = Locks()
    locks.slots = {0, 1, 2}
    locks.turn((0, 1, 2))
    before = dict(locks.owner)
    locks.leave(1)
    locks.turn((0, 2))
    assert (locks.held(), set(locks.owner)) == ([32, 32], ALL)
    kept = {share: owner for share, owner in before.items() if owner != 1}
    assert kept.items() <= locks.owner.items(), "nobody gives up what he had"
    locks.slots.add(1)
    for _ in range(2):
        locks.turn((1, 0, 2))
    assert (locks.held(), set(locks.owner)) == ([20, 22, 22], ALL)


def test_a_rolling_restart_leaves_no_share_without_an_owner_for_more_than_two_looks() -> None:
    locks = Locks()
    locks.slots = {0, 1, 2}
    locks.turn((0, 1, 2))
    for slot in (0, 1, 2):
        locks.leave(slot)
        locks.turn(sorted(locks.slots))
        assert set(locks.owner) == ALL
        locks.slots.add(slot)
        locks.turn((slot, *sorted(locks.slots - {slot})))
        locks.turn(sorted(locks.slots))
        assert set(locks.owner) == ALL


def test_the_last_one_takes_everything() -> None:
    locks = Locks()
    locks.slots = set(range(5))
    locks.turn(range(5))
    for slot in range(4):
        locks.leave(slot)
    locks.turn([4])
    assert locks.held() == [SHARES]


def test_two_that_start_on_an_empty_field_want_different_shares_first() -> None:
    seen = Seen(frozenset({0, 1}), frozenset(), frozenset())
    assert not set(plan(seen, 0).take) & set(plan(seen, 1).take)


def test_the_share_of_a_job_is_the_same_in_every_release() -> None:
    assert share_of("job-20261126-120000.000-abcdef") == zlib.crc32(b"job-20261126-120000.000-abcdef") % 64
    assert {share_of(f"job-{n}") for n in range(2000)} == ALL


# --- what a replica believes of itself ------------------------------------------------------------------


class OneReplica:
    """The part of `db.replicas.Replica` that ownership uses; the server is in `locks`."""

    polls = True

    def __init__(self, locks: Locks, slot: int = 0) -> None:
        self.locks, self.slot = locks, slot
        self.signed: list[int] = []
        self.away = False
        locks.slots.add(slot)

    def look(self) -> Seen:
        if self.away or self.slot not in self.locks.slots:
            raise ConnectionError("the server has gone away")
        return self.locks.seen_by(self.slot)

    def take_shares(self, wanted: Iterable[int]) -> frozenset[int]:
        return frozenset(share for share in wanted if self.locks.owner.setdefault(share, self.slot) == self.slot)

    def give_shares(self, given: Iterable[int]) -> None:
        for share in given:
            del self.locks.owner[share]

    def take(self) -> None:
        if self.away:
            raise ConnectionError("the server has gone away")
        self.locks.slots.add(self.slot)

    def sign(self, _now: object, shares: int) -> None:
        self.signed.append(shares)

    def release(self) -> None:
        self.locks.leave(self.slot)


def ownership(replica: OneReplica, clock: Clock) -> SharedOwnership:
    return SharedOwnership(ByLocks(replica), clock.observer())  # type: ignore[arg-type]


def look(owner: SharedOwnership) -> Change:
    return asyncio.run(owner.look())


def test_what_a_look_showed_is_believed_for_eight_seconds_and_no_longer() -> None:
    clock = Clock()
    owner = ownership(OneReplica(Locks()), clock)
    assert not owner.owns("job-1"), "nothing is ours before the first look"
    assert look(owner) == Change(gained=ALL, held=64)
    clock.advance(TRUST - 0.01)
    assert owner.owns("job-1")
    clock.advance(0.02)
    assert not owner.owns("job-1")


def test_shares_that_were_not_believed_for_a_while_are_gained_anew() -> None:
    """What was due meanwhile went unasked: whoever listens must look through its jobs again."""
    clock = Clock()
    owner = ownership(OneReplica(Locks()), clock)
    look(owner)
    clock.advance(1)
    assert look(owner) == Change(held=64), "nothing new"
    clock.advance(TRUST + 1)
    assert look(owner) == Change(gained=ALL, held=64)


def test_a_lost_session_loses_everything_at_once_and_another_is_begun() -> None:
    clock, locks = Clock(), Locks()
    owner = ownership(replica := OneReplica(locks), clock)
    look(owner)
    locks.leave(0)  # the server ended our session
    with capture_logs() as logs:
        assert look(owner) == Change(lost=ALL)
        assert not owner.owns("job-1")
        assert look(owner) == Change(gained=ALL, held=64)
    assert [line["log_level"] for line in logs] == ["error"]
    assert replica.signed == [64, 0, 64]


def test_a_server_that_stays_away_is_complained_of_when_it_goes_and_not_every_second() -> None:
    owner = ownership(replica := OneReplica(Locks()), Clock())
    look(owner)
    for _ in range(2):
        replica.away = True
        with capture_logs() as logs:
            for _ in range(5):
                look(owner)
        lost, placeless = logs
        assert "has lost its shares" in lost["event"]
        assert "has no place among the others" in placeless["event"]
        replica.away = False
        assert look(owner) == Change(held=64, gained=ALL)


def test_an_api_only_replica_takes_no_share_and_knows_what_others_hold() -> None:
    locks = Locks()
    poller, api_only = ownership(OneReplica(locks, 0), Clock()), OneReplica(locks, 40)
    api_only.polls = False
    owner = ownership(api_only, Clock())
    look(poller)
    assert look(owner) == Change()
    assert (owner.owns("job-1"), owner.elsewhere("job-1")) == (False, True)


def test_who_leaves_owns_nothing_and_does_not_come_back() -> None:
    owner = ownership(replica := OneReplica(Locks()), Clock())
    look(owner)
    asyncio.run(owner.leave())
    assert (owner.owns("job-1"), replica.locks.owner) == (False, {})
    look(owner)
    assert replica.locks.slots == set()
