"""Thousands of lives of the service in virtual time, drawn from seeds; what must hold in each is in `sim_judge.py`.

`./run test tests/simulation --seeds 20000` plays more of them, `--seed 4711` one. A failure prints its plan, and
`./run python tests/simulation/simulation.py 4711` tells the plan with the moves of its jobs.

Faults of which every story may have some, and their numbers in the list of what can go wrong: jobs in every state at a
start (45), killed at any moment (40, also between a decision and its commit or before the answer of a commit arrives:
41, 42), copies that ended while we were down (43), restarts in a row (44), orderly stops during questions (46), a
process that stands still and wakes (47, 48), a job whose row cannot be read (49); a database that is away at the start
(51) or later (52, 53); of replicas: the owner killed (61), frozen (62), a share lost and regained (63), the last
survivor (64), a rolling restart (65), an API-only replica (67), an answer that comes after others' (69), two that
conclude at once (70); a wall clock that is set back or forward (72, 73), a job lost from the schedule (75), a monitor
that dies (76), a recovery triggered twice (77). Beside them appliances go away, hang, flap, forget, answer slowly,
with garbage, with 401, and with Retry-After (15, 16, 29-37).
"""

import pytest
from sim_plan import draw
from simulation import play, told

from poller.poll_lines import Line

# What the stories are for. If they change, other seeds may be needed to see all of it.
HAPPENS = {
    "start", "kill", "freeze", "frozen", "host lost", "session", "vma restart", "database", "clock", "pause", "removed",
    "poison",
}  # fmt: skip
EDGES = {
    "done", "broke", "lost", "lost_when_nearly_done", "silent", "setup_lost", "run_seen", "runs_after_all",
    "done_after_all", "broke_after_all", "start_revives", "operator_completes", "operator_fails",
}  # fmt: skip
TOGETHER = (148, 176, 82, 107, 38, 8, 15, 17, 20)


@pytest.mark.no_cover
def test_in_no_story_does_anything_happen_that_must_not(stories: range) -> None:
    for seed in stories:
        world = play(seed)
        if world.judge.wrong:
            pytest.fail(told(world), pytrace=False)


@pytest.mark.no_cover
def test_in_a_few_stories_everything_happens_that_can() -> None:
    judges = [play(seed).judge for seed in TOGETHER]
    assert {what for judge in judges for what in judge.happened} >= HAPPENS
    assert {edge for judge in judges for edge in judge.edges} >= EDGES
    assert {how for judge in judges for how in judge.triggers} == {"began", "refused"}


def lines(seed: int) -> list[Line]:
    return play(seed).lines


@pytest.mark.parametrize("seed", [1, 7], ids=["one process", "replicas"])
def test_a_seed_tells_the_same_story_every_time(seed: int) -> None:
    assert lines(seed) == lines(seed)
    assert lines(seed) != lines(seed + 100)


def test_a_plan_is_told_in_lines_that_a_person_can_read() -> None:
    plan = "\n".join(draw(1).told())
    assert plan.startswith("seed 1: 3.5 h, one process, appliances default")
    assert "kill" in plan
