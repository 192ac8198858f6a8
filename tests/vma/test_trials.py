"""Thousands of seeded trials against a model VMA: no confirmed wrong end, no end by silence while the copy runs and
the VMA answers, every wrong inference overturned as soon as there is evidence, nothing stuck without an operator.

`OMA_FSM_SEEDS=20000 ./run test tests/vma/test_trials.py` tries more; `./run python tests/vma/trial.py SEED` tells one.
"""

import os
from collections import Counter

import pytest
from trial import Trial, told
from trial_judge import WrongError

SEEDS = int(os.environ.get("OMA_FSM_SEEDS", "3000"))
CHUNK = 250
CHUNKS = [range(first, min(first + CHUNK, SEEDS)) for first in range(0, SEEDS, CHUNK)]
# A trial in which none of this happened would have tried nothing.
HAPPENS = {
    *("runs", "run_seen", "done", "broke", "settled", "settling", "cannot_settle", "absent", "lost", "setup_lost"),
    *("unreachable", "silent", "garbled", "garbled_long", "runs_after_all"),
    *("vma_not_found_watched", "vma_not_found_beside_newer"),
}


@pytest.mark.no_cover  # which would take four times as long
@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_in_no_trial_does_anything_happen_that_must_not(seeds: range) -> None:
    edges: Counter[str] = Counter()
    for seed in seeds:
        trial = Trial(seed)
        try:
            trial.tell()
        except WrongError as wrong:
            pytest.fail(f"{wrong}\n{told(seed)}", pytrace=False)
        edges += trial.edges
    assert len(seeds) < CHUNK or edges.keys() >= HAPPENS, HAPPENS - edges.keys()


def test_a_seed_tells_the_same_story_every_time() -> None:
    assert told(7) == told(7)
    assert told(7) != told(8)
