"""The store in memory tells every story as the real one does: question by question, move by move.

And the real one is in order afterwards: the doctor finds nothing, so histories fold to their rows, and the counters
of the VMs are right.
"""

from itertools import zip_longest

import pytest
from real_store import RealStore
from sim_plan import Plan, draw
from simulation import World
from virtual_loop import EPOCH

from db import appliances
from db.appliances import Appliance
from db.transactions import transact

SEEDS = (0, 3, 24, 25, 27, 40)  # 27: several replicas


def plan_of(seed: int) -> Plan:
    """A poisonous row is no row that SQLite would take."""
    plan = draw(seed)
    plan.happenings = [h for h in plan.happenings if h.kind != "poison"]
    return plan


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", SEEDS)
def test_both_stores_tell_the_same_story(seed: int, real_store: RealStore) -> None:
    plan = plan_of(seed)
    memory, real = World(plan), World(plan, store=real_store)
    for name in plan.appliances[1:]:
        transact(real_store.engine, lambda c: appliances.add(c, Appliance(name, "http://second.example"), EPOCH))  # noqa: B023
    memory.run()
    real.run()
    for told, true in zip_longest(memory.lines, real.lines):
        assert told == true
    for job_id, moves in real_store.moves.items():
        assert memory.store.moves[job_id] == moves
        assert memory.store.loaded(job_id).polling == real_store.loaded(job_id).polling
    assert real.judge.wrong == []
    assert real_store.examine() == []
