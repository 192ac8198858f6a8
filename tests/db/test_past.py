"""The past as it is read back, on every database: what was decided can be decided again."""

from store_builders import NOW, OPERATOR, STARTUP, Vm

from db import past
from db.codec import facts_from_json
from db.engine import read
from db.store import Store
from fsm.machine import decide
from fsm.silence import Silence
from fsm.states import Event, Verdict


def lived(vm: Vm) -> Vm:
    """A copy that is seen, borne through an outage, lost, seen again by a recovery, and ended by a person."""
    vm.replicate().hear("running", done=900)
    vm.wait(seconds=5)
    for _ in range(20):
        vm.wait(seconds=30).hear("unreachable")
    vm.wait(seconds=30).hear("running", done=950)
    for _ in range(15):
        vm.wait(seconds=10).hear("not_found")
    vm.wait(minutes=1).hear("running", asked=STARTUP, done=960)
    vm.store.fire(vm.job_id, Event.COMPLETE, vm.wait(seconds=1).now, asked=OPERATOR)
    return vm


def test_every_move_of_a_whole_life_is_decided_again_to_the_letter(vm: Vm) -> None:
    lived(vm)
    with read(vm.store.engine) as connection:
        moves = list(past.moves(connection, job_id=vm.job_id))
    assert [m.edge for m in moves][-3:] == ["lost", "runs_after_all", "operator_completes"]
    for move, row in zip(moves, vm.history, strict=True):
        assert move.before is not None
        again = decide(move.before, move.event, move.evidence, move.at, asked=move.asked)
        assert (again.edge, again.verdicts) == (row["edge"], move.verdicts)
        assert again.after == facts_from_json(row["facts"])
        assert again.asked == move.asked


def test_moves_of_all_jobs_come_oldest_first_and_from_a_time_on(own_store: Store) -> None:
    first, second = lived(Vm(own_store)), lived(Vm(own_store))
    with read(own_store.engine) as connection:
        found = list(past.moves(connection))
        late = list(past.moves(connection, since=first.now))
    assert [m.edge for m in late] == ["operator_completes"] * 2
    of_each = len(first.history)
    assert [m.job_id for m in found] == [first.job_id] * of_each + [second.job_id] * of_each


def test_silences_are_read_from_the_kept_polls_with_the_job_as_it_then_was(vm: Vm) -> None:
    lived(vm)
    with read(vm.store.engine) as connection:
        outage, absence = past.silences(connection, job_id=vm.job_id)
        assert list(past.silences(connection, since=outage.until, job_id=vm.job_id)) == [absence]
    assert _told(outage) == (Verdict.UNREACHABLE, 600.0, "replicating", True)
    assert outage.since > NOW
    kept = next(p for p in vm.polls if p["verdict"] == "unreachable")
    assert (outage.since, outage.facts.percent) == (kept["at"], kept["percent"])
    moved = next(row for row in vm.history if row["edge"] == "lost")
    assert (absence.verdict, absence.until) == (Verdict.NOT_FOUND, moved["at"])


def _told(silence: Silence) -> tuple[Verdict, float, str, bool]:
    facts = silence.facts
    return silence.verdict, silence.lasted.total_seconds(), facts.state, facts.heard_at == silence.since


def test_a_silence_that_nothing_ended_yet_lasts_until_its_last_kept_answer(vm: Vm) -> None:
    vm.replicate()
    vm.wait(minutes=1).hear("unreachable")
    vm.wait(minutes=10).hear("unreachable")
    with read(vm.store.engine) as connection:
        (silence,) = past.silences(connection, job_id=vm.job_id)
    assert silence.lasted.total_seconds() == 0
    assert silence.facts.heard_at is None, "the VMA has never known this job"


def test_a_watched_end_bears_every_silence(vm: Vm) -> None:
    vm.replicate().lose()
    ended = vm.now
    for _ in range(3):
        vm.wait(minutes=30).hear("unreachable")
        vm.wait(seconds=30).hear("not_found")
    with read(vm.store.engine) as connection:
        assert list(past.silences(connection, since=ended, job_id=vm.job_id)) == []
