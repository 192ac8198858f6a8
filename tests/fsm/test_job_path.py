"""The path of one job, and the fleet: what happened, drawn as it was."""

from datetime import UTC, datetime, timedelta

from fsm.render.fleet import Traffic, fleet
from fsm.render.formats import FORMATS
from fsm.render.model import Arrow, Diagram, Node, Role, Tone
from fsm.render.path import MOST_ATTEMPTS, MOST_STEPS, Attempt, Step, path, span
from fsm.render.text import clean
from fsm.states import State

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


LIFE = (
    Step(None, "initializing", "create", "create", "workflow", at(0)),
    Step("initializing", "attaching", "attach", "attach", "workflow", at(1)),
    Step("attaching", "ready_for_sync", "ready", "ready", "workflow", at(3)),
    Step("ready_for_sync", "replicating", "start", "start", "workflow", at(4)),
    Step("replicating", "failed", "vma_unreachable", "silent", "poll", at(64), ending="inferred"),
    Step("failed", "replicating", "vma_running", "runs_after_all", "startup", at(70)),
    Step("replicating", "completed", "complete", "operator_completes", "operator", at(100), "manual", "jane", "looked"),
)


def node(diagram: Diagram, name: str) -> Node:
    return next(n for n in diagram.nodes if n.id == name)


def numbered(diagram: Diagram) -> list[Arrow]:
    return [a for a in diagram.arrows if a.number is not None]


def test_every_move_is_an_arrow_with_its_number_and_who_asked() -> None:
    shown = numbered(path("job-1", LIFE, at(160)))
    assert [(a.number, a.source, a.target) for a in shown] == [
        (n, step.from_state or "birth", step.to_state) for n, step in enumerate(LIFE, 1)
    ]
    assert [a.tone for a in shown] == [Tone.PLAIN] * 4 + [Tone.INFERRED, Tone.REVIVED, Tone.MANUAL]
    assert shown[-1].note == "operator jane: looked, 2026-11-24 13:40:00Z"
    assert [c.edge for c in shown[4].captions] == ["silent"]


def test_each_state_says_how_long_the_job_was_there_and_the_present_one_is_lit() -> None:
    diagram = path("job-1", LIFE, at(160))
    assert [n.id for n in diagram.nodes] == [
        "birth", "initializing", "attaching", "ready_for_sync", "replicating", "completed", "failed",
    ]  # fmt: skip
    assert node(diagram, "attaching").lines == ("2m",)
    assert node(diagram, "replicating").lines == ("1h 30m, 2 visits",)
    assert node(diagram, "failed").lines == ("6m",)
    assert node(diagram, "completed").lines == ("since 2026-11-24 13:40:00Z",)
    assert [n.id for n in diagram.nodes if n.lit] == ["completed"]


def test_a_job_that_is_still_there_says_for_how_long_so_far() -> None:
    diagram = path("job-1", LIFE[:6], at(75))
    assert node(diagram, "replicating").lines == ("1h, 2 visits", "for 5m so far")


def test_an_end_that_was_replaced_by_another_is_one_visit() -> None:
    again = Step("failed", "failed", "vma_failed", "broke_after_all", "poll", at(66), ending="confirmed")
    diagram = path("job-1", (*LIFE[:5], again), at(80))
    assert node(diagram, "failed").lines == ("2m", "since 2026-11-24 13:06:00Z")


def test_refused_attempts_are_arrows_of_their_own_with_the_reason() -> None:
    attempts = [
        Attempt("attaching", "configure", "workflow", "volumes_recorded: no volume", at(n)) for n in (2, 2.5, 2.8)
    ]
    other = Attempt("completed", "reopen", "operator", "vm_not_taken: a newer job", at(120), "jane")
    diagram = path("job-1", LIFE, at(160), attempts=[other, *attempts])
    refused = [a for a in diagram.arrows if a.tone is Tone.REFUSED]
    assert [(a.source, a.target, a.number) for a in refused] == [
        ("attaching", "attaching", None),
        ("completed", "completed", None),
    ]
    assert refused[0].note == "volumes_recorded: no volume (3 times); workflow, 2026-11-24 12:02:48Z"
    assert refused[1].note == "vm_not_taken: a newer job; operator jane, 2026-11-24 14:00:00Z"


def test_a_job_without_history_is_only_where_it_is() -> None:
    diagram = path("job-1", (), at(0), state="replicating")
    assert [(n.id, n.lit, n.lines) for n in diagram.nodes] == [("replicating", True, ())]
    assert diagram.arrows == ()


def test_a_long_path_shows_its_end_and_says_what_it_leaves_out() -> None:
    steps = [LIFE[4], LIFE[5]] * MOST_STEPS
    diagram = path("job-1", steps, at(100), earlier=10)
    last = len(steps) + 10
    assert [a.number for a in numbered(diagram)] == list(range(last - MOST_STEPS + 1, last + 1))
    assert f"The first {last - MOST_STEPS} are not shown." in diagram.description
    kinds = [Attempt("failed", f"event-{n}", "operator", "no", at(n)) for n in range(MOST_ATTEMPTS + 3)]
    crowded = path("job-1", LIFE, at(160), attempts=kinds)
    assert sum(a.tone is Tone.REFUSED for a in crowded.arrows) == MOST_ATTEMPTS
    assert f"Of {MOST_ATTEMPTS + 3} kinds of refused attempts" in crowded.description


def test_states_and_endings_of_another_release_are_drawn_as_they_are_called() -> None:
    steps = (Step("un heard-of", "failed", "old", "old_edge", "poll", at(1), ending="perhaps"),)
    diagram = path("job-1", steps, at(2))
    assert [(n.id, n.label) for n in diagram.nodes] == [("failed", "failed"), ("other_un_heard_of", "un heard-of")]
    for form in FORMATS.values():
        assert form.bytes(diagram)


def test_what_people_wrote_cannot_reach_a_terminal_as_anything_but_text() -> None:
    assert clean("red \x1b[31m\x00 \u202e\ud800 end\nline") == "red \ufffd[31m\ufffd \ufffd\ufffd end line"
    assert len(clean("x" * 5000)) == 120
    steps = (Step("failed", "failed", "fail", "operator_fails", "operator", at(1), "manual", "eve\x1b]0;", "\x07"),)
    text = FORMATS["ascii"].bytes(path("job-1", steps, at(2))).decode()
    assert not [c for c in text if not c.isprintable() and c != "\n"]


def test_spans_have_two_units_at_most() -> None:
    spans = {0: "0s", 0.4: "0s", 45: "45s", 725: "12m 5s", 3600: "1h", 12_000: "3h 20m", 187_260: "2d 4h", -3: "0s"}
    assert {seconds: span(timedelta(seconds=seconds)) for seconds in spans} == spans


# --- the fleet ---------------------------------------------------------------------------------------

TRAFFIC = (
    Traffic("replicating", "failed", "vma_not_found", "lost", "inferred", 30),
    Traffic("replicating", "failed", "vma_unreachable", "silent", "inferred", 10),
    Traffic("replicating", "failed", "fail", "operator_fails", "manual", 4),
    Traffic(None, "initializing", "create", "create", None, 500),
    Traffic("replicating", "completed", "vma_completed", "done", "confirmed", 400),
    Traffic("failed", "replicating", "vma_running", "runs_after_all", None, 8),
)


def test_the_fleet_shows_jobs_and_the_median_stay_of_each_state() -> None:
    stays = {"attaching": [timedelta(minutes=n) for n in (1, 50, 3)], "failed": [timedelta(hours=2)]}
    shown = fleet({"replicating": 8, "failed": 2}, stays, TRAFFIC)
    assert [n.id for n in shown.nodes] == ["birth", *State]
    assert node(shown, "replicating").lines == ("8 jobs",)
    assert node(shown, "attaching").lines == ("0 jobs", "stays 3m (median)")
    assert node(shown, "failed").lines == ("2 jobs", "overturned after 2h (median)")
    assert shown.description.startswith("10 jobs; 952 moves counted.")


def test_the_heat_of_an_arrow_is_that_of_its_failures_and_inferences() -> None:
    arrows = {(a.source, a.target, a.tone): a for a in fleet({}, {}, TRAFFIC).arrows}
    heat = {key[:2]: a.heat for key, a in arrows.items() if key[2] is not Tone.MANUAL}
    assert heat == {
        ("birth", "initializing"): None,
        ("replicating", "completed"): None,
        ("replicating", "failed"): 1.0,
        ("failed", "replicating"): 0.2,
    }
    lost = arrows["replicating", "failed", Tone.INFERRED]
    assert lost.note == "40 times (lost 30, silent 10)"
    assert arrows["replicating", "failed", Tone.MANUAL].heat == 0.1


def test_the_fleet_is_the_same_in_whatever_order_the_database_counts() -> None:
    assert fleet({"failed": 1}, {}, TRAFFIC) == fleet({"failed": 1}, {}, TRAFFIC[::-1])


def test_a_fleet_without_jobs_and_one_with_states_of_another_release_are_drawn() -> None:
    empty = fleet({}, {}, ())
    assert {n.lines for n in empty.nodes} == {("0 jobs",)}
    assert Role.BIRTH not in [n.role for n in empty.nodes]
    foreign = (Traffic("gone", "failed", "x", "x", None, 1), Traffic("failed", "gone", "x", "x", None, 1))
    assert fleet({"gone": 3}, {"gone": [timedelta(1)]}, foreign).arrows == ()
