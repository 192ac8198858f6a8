"""Many rows at once mean the same on every database, whatever is in them."""

from datetime import timedelta
from typing import Any

import pytest
from store_builders import NOW, Vm, rows

from db import bulk
from db.bulk import insert_many, update_many
from db.engine import write
from db.store import Store
from db.tables import HISTORY, POLLING, POLLS

ODD: list[dict[str, Any]] = [
    {"last_error_message": '\'; DROP TABLE x; -- \\ % %s {} "é" 世界 \n', "next_due_at": NOW, "is_active": True},
    {"last_error_message": None, "next_due_at": NOW + timedelta(microseconds=1), "is_active": False},
    {"last_error_message": "", "next_due_at": None, "is_active": True},
    {"last_error_message": "null", "next_due_at": NOW - timedelta(days=400), "is_active": False},
]


def polling_of(vm: Vm) -> dict[str, Any]:
    return dict(rows(vm.store, POLLING, job_id=vm.job_id)[0])


def test_every_row_gets_its_own_values(store: Store) -> None:
    vms = [Vm(store).create() for _ in ODD]
    totals = [2**62, 0, 7, 1]
    changes = [{"job_id": v.job_id, "total_polls": n, **odd} for v, n, odd in zip(vms, totals, ODD, strict=True)]
    with write(store.engine) as connection:
        assert update_many(connection, POLLING, ("job_id",), changes) == len(vms)
    for vm, change in zip(vms, changes, strict=True):
        assert change.items() <= polling_of(vm).items()


def test_rows_that_are_there_are_counted_changed_or_not(store: Store) -> None:
    vms = [Vm(store).create() for _ in range(2)]
    same = [{"job_id": v.job_id, "total_polls": 0} for v in vms]
    with write(store.engine) as connection:
        assert update_many(connection, POLLING, ("job_id",), [*same, {"job_id": "job-0", "total_polls": 0}]) == 2
        assert update_many(connection, POLLING, ("job_id",), []) == 0


def test_a_key_that_the_row_changes_is_compared_with_what_it_was(store: Store) -> None:
    vm, other = Vm(store).create(), Vm(store).create()
    swaps = [
        {"job_id": vm.job_id, "old_total_polls": 0, "total_polls": 5},
        {"job_id": other.job_id, "old_total_polls": 3, "total_polls": 5},
    ]
    with write(store.engine) as connection:
        assert update_many(connection, POLLING, ("job_id", "old_total_polls"), swaps) == 1
    assert [polling_of(v)["total_polls"] for v in (vm, other)] == [5, 0]


@pytest.mark.parametrize(("name", "limit"), [("MANY", 2), ("PARAMETER", 150)])
def test_what_is_too_much_for_one_statement_goes_in_several(
    store: Store, monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    monkeypatch.setattr(bulk, name, limit)
    vm = Vm(store).create()
    with write(store.engine) as connection:
        insert_many(connection, POLLS, [{"job_id": vm.job_id, "at": NOW, "verdict": f"v{n}"} for n in range(5)])
        told = [{"job_id": vm.job_id, "verdict": f"v{n}", "error": f"e{n}"} for n in range(5)]
        assert update_many(connection, POLLS, ("job_id", "verdict"), told) == 5
    kept = rows(store, POLLS, job_id=vm.job_id)
    assert sorted((r["verdict"], r["error"]) for r in kept) == [(f"v{n}", f"e{n}") for n in range(5)]


def test_rows_of_several_shapes_and_json_go_in_together(store: Store) -> None:
    vm = Vm(store).create()
    (birth,) = rows(store, HISTORY, job_id=vm.job_id)
    shape = {"job_id": vm.job_id, "at": NOW, "verdict": "running"}
    with write(store.engine) as connection:
        insert_many(connection, POLLS, [shape, {**shape, "percent": 12.5}, {**shape, "error": "x", "percent": None}])
        insert_many(connection, POLLS, [])
    assert [(r["percent"], r["error"]) for r in rows(store, POLLS, job_id=vm.job_id)] == [
        (None, None),
        (12.5, None),
        (None, "x"),
    ]
    assert (birth["facts"]["state"], birth["evidence"], birth["verdicts"][0]["passed"]) == ("initializing", None, True)
