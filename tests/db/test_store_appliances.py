"""Appliances as rows: jobs belong to them, and one that is still needed is not removed."""

from datetime import timedelta

import pytest
from store_builders import NOW, OPERATOR, Vm, rows

from db import appliances
from db.appliances import Appliance
from db.engine import read, write
from db.errors import ConflictError, NotFoundError
from db.store import Store
from db.tables import APPLIANCES, JOBS
from fsm.states import Event

TWO = Appliance("vma-2", "https://vma-2", ca_file="/ca", token_file="/token", cert_file="/cert", key_file="/key")


def stored(store: Store) -> list[Appliance]:
    with read(store.engine) as connection:
        return appliances.all_of(connection)


def add(store: Store, appliance: Appliance = TWO) -> None:
    with write(store.engine) as connection:
        appliances.add(connection, appliance, NOW)


def test_what_is_added_is_found_as_it_is(own_store: Store) -> None:
    add(own_store)
    add(own_store, Appliance("VMA-2", "http://other"))  # two ids that differ in case are two ids
    assert stored(own_store) == sorted([Appliance("VMA-2", "http://other"), TWO], key=lambda a: a.name)
    for name in ("vma-2", "default"):
        with pytest.raises(ConflictError, match=f"there is an appliance '{name}' already"):
            add(own_store, Appliance(name, "http://x"))


def test_a_job_belongs_to_an_appliance_that_is_known(own_store: Store) -> None:
    vm = Vm(own_store)
    with pytest.raises(NotFoundError, match="no appliance 'vma-2'"):
        vm.create(appliance="vma-2")
    assert rows(own_store, JOBS) == []
    add(own_store)
    vm.create(appliance="vma-2")
    assert (vm.facts.appliance, vm.row["appliance"]) == ("vma-2", "vma-2")
    assert [j.appliance for j in own_store.polled_jobs()] == ["vma-2"]
    assert Vm(own_store).create().facts.appliance == "default"


def test_the_appliance_stays_with_the_job_in_its_history(own_store: Store) -> None:
    add(own_store)
    vm = Vm(own_store).replicate(appliance="vma-2")
    assert [row["facts"]["appliance"] for row in vm.history] == ["vma-2"] * 4


def test_one_that_jobs_still_need_is_not_removed(own_store: Store) -> None:
    add(own_store)
    active, watched, ended = (Vm(own_store).replicate(appliance="vma-2") for _ in range(3))
    watched.lose(done=100)
    ended.fire(Event.FAIL, OPERATOR)

    def remove() -> None:
        with write(own_store.engine) as connection:
            appliances.remove(connection, "vma-2")

    with pytest.raises(ConflictError, match="still asked about 2 jobs"):
        remove()
    active.fire(Event.FAIL, OPERATOR)
    with pytest.raises(ConflictError, match="still asked about 1 job;"):
        remove()
    watched.fire(Event.FAIL, OPERATOR)
    remove()
    assert stored(own_store) == []
    with pytest.raises(NotFoundError):
        remove()


def test_the_default_one_is_that_of_the_settings(own_store: Store) -> None:
    def note(url: str, days: int) -> None:
        with write(own_store.engine) as connection:
            appliances.note_default(connection, url, NOW + timedelta(days=days))

    note("http://a", 0)
    with write(own_store.engine) as connection:
        appliances.learn(connection, [Appliance("default", "", in_flight=64, generation="envelope", heard_at=NOW)], NOW)
    note("http://a", 1)
    (kept,) = stored(own_store)
    assert kept == Appliance("default", "http://a", in_flight=64, generation="envelope", heard_at=NOW)
    note("http://b", 2)
    assert stored(own_store) == [Appliance("default", "http://b", heard_at=NOW)]
    with write(own_store.engine) as connection, pytest.raises(ConflictError, match="can only be paused"):
        appliances.remove(connection, "default")


def test_pausing_says_how_many_jobs_wait_and_learning_does_not_undo_it(own_store: Store) -> None:
    add(own_store)
    Vm(own_store).replicate(appliance="vma-2")
    with write(own_store.engine) as connection:
        assert appliances.pause(connection, "vma-2", NOW, paused=True) == 1
        appliances.learn(connection, [Appliance("vma-2", ""), Appliance("gone", "")], NOW)
        with pytest.raises(NotFoundError, match="no appliance 'vma-3'"):
            appliances.pause(connection, "vma-3", NOW, paused=True)
    assert [(r["name"], r["paused"], r["url"]) for r in rows(own_store, APPLIANCES)] == [
        ("vma-2", True, "https://vma-2"),
    ]  # fmt: skip
