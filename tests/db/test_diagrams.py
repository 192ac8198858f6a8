"""Pictures of jobs as they are read from every database: real lives, through the store."""

import pytest
from sqlalchemy import delete
from store_builders import OPERATOR, STARTUP, Vm
from unguarded import unguarded

from db import diagrams
from db.engine import read, write
from db.errors import NotFoundError
from db.store import Store
from db.tables import HISTORY
from fsm.render.model import Diagram, Tone
from fsm.render.path import MOST_STEPS
from fsm.states import Event


def path(vm: Vm) -> Diagram:
    with read(vm.store.engine) as connection:
        return diagrams.job_path(connection, vm.job_id, vm.now)


def fleet(store: Store) -> Diagram:
    with read(store.engine) as connection:
        return diagrams.fleet_map(connection)


def lived(vm: Vm) -> Vm:
    """Two minutes of set-up, an hour of copying, lost, found again by a recovery, and ended by a person."""
    vm.create().volume()
    vm.wait(minutes=2).fire(Event.ATTACH)
    vm.wait(minutes=1).fire(Event.READY)
    vm.fire(Event.START)
    vm.wait(minutes=60).lose(done=10)
    vm.wait(minutes=5).hear("running", asked=STARTUP, done=20)
    vm.wait(minutes=10).fire(Event.COMPLETE, OPERATOR)
    return vm


def _lines(diagram: Diagram) -> dict[str, tuple[str, ...]]:
    return {node.id: node.lines for node in diagram.nodes}


def test_the_path_is_the_history_with_its_times(vm: Vm) -> None:
    shown = path(lived(vm))
    assert [(a.number, [c.edge for c in a.captions]) for a in shown.arrows] == [
        (row["seq"], [row["edge"]]) for row in vm.history
    ]
    assert [a.tone for a in shown.arrows][-3:] == [Tone.INFERRED, Tone.REVIVED, Tone.MANUAL]
    assert [n.id for n in shown.nodes if n.lit] == ["completed"]
    assert _lines(shown)["initializing"] == ("2m",)
    assert _lines(shown)["replicating"] == ("1h 11m, 2 visits",)
    assert "operator anna: looked at it on the VMA" in (shown.arrows[-1].note or "")


def test_refused_attempts_are_drawn_and_answers_at_which_it_stayed_are_not(vm: Vm) -> None:
    vm.create().fire(Event.COMPLETE)
    vm.hear("not_found")
    (refused,) = [a for a in path(vm).arrows if a.tone is Tone.REFUSED]
    assert (refused.source, refused.target, refused.captions[0].event) == ("initializing", "initializing", "complete")
    assert "by_operator: wants an operator, by name" in str(refused)


def test_a_long_history_is_read_in_part_and_counted_whole(vm: Vm) -> None:
    vm.replicate()
    for _ in range(MOST_STEPS // 2):
        vm.wait(minutes=1).fire(Event.COMPLETE, OPERATOR)
        vm.wait(minutes=1).fire(Event.REOPEN, OPERATOR)
    shown = path(vm)
    assert [a.number for a in shown.arrows] == [row["seq"] for row in vm.history][-MOST_STEPS:]
    assert f"The first {len(vm.history) - MOST_STEPS} are not shown." in shown.description


def test_a_job_that_is_older_than_its_history_is_drawn_where_it_stands(vm: Vm) -> None:
    vm.replicate()
    with unguarded(vm.store.engine), write(vm.store.engine) as connection:
        connection.execute(delete(HISTORY).where(HISTORY.c.job_id == vm.job_id))
    assert [(n.id, n.lit) for n in path(vm).nodes] == [("replicating", True)]


def test_a_job_that_there_is_not_has_no_path(vm: Vm) -> None:
    vm.job_id = "job-0"
    with pytest.raises(NotFoundError, match="no job 'job-0'"):
        path(vm)


def test_the_fleet_counts_jobs_stays_and_moves_of_all(own_store: Store) -> None:
    first, second = lived(Vm(own_store)), Vm(own_store)
    second.create().volume()
    second.wait(minutes=4).fire(Event.ATTACH)
    shown = fleet(own_store)
    assert _lines(shown)["completed"] == ("1 job",)
    assert _lines(shown)["attaching"] == ("1 job", "stays 1m (median)")
    assert _lines(shown)["initializing"] == ("0 jobs", "stays 3m (median)")
    assert _lines(shown)["failed"] == ("0 jobs", "overturned after 5m (median)")
    notes = {(a.source, a.target): a.note for a in shown.arrows}
    assert notes["initializing", "attaching"] == "2 times"
    assert notes["replicating", "failed"] == "once"
    assert f"2 jobs; {len(first.history) + len(second.history)} moves counted." in shown.description


def test_an_end_replaced_by_an_end_does_not_count_as_leaving_it(own_store: Store) -> None:
    vm = Vm(own_store).replicate().lose()
    vm.wait(minutes=3).fire(Event.FAIL, OPERATOR)
    shown = fleet(own_store)
    assert _lines(shown)["failed"] == ("1 job",)
    assert [(a.source, a.target, a.tone) for a in shown.arrows if a.source == "failed"] == [
        ("failed", "failed", Tone.MANUAL)
    ]


def test_the_fleet_reads_the_last_moves_only(own_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    Vm(own_store).replicate()
    Vm(own_store).create()
    monkeypatch.setattr(diagrams, "MOST_MOVES", 1)
    assert [(a.source, a.target, a.note) for a in fleet(own_store).arrows] == [("birth", "initializing", "once")]


def test_a_job_in_a_state_of_another_release_is_drawn(own_store: Store) -> None:
    vm = Vm(own_store).create()
    vm.set_job(status="gone")
    assert [n.label for n in path(vm).nodes if n.lit] == ["gone"]
    assert _lines(fleet(own_store))["initializing"] == ("0 jobs",)
