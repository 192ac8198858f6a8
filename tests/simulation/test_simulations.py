"""Thousands of lives of the service in virtual time, drawn from seeds; what must hold in each is in `sim_judge.py`.

`./run test tests/simulation --seeds 20000` plays more of them, `--seed 4711` one. A failure prints its plan, and
`./run python tests/simulation/simulation.py 4711` tells the plan with the moves of its jobs. What can go wrong and is
played here is listed in docs/testing.md.
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
TOGETHER = (148, 176, 83, 107, 317, 2, 17, 20)


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
