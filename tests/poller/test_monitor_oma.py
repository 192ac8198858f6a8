"""On an adopted database, the monitor and every start look first at what the OMA wrote itself."""

import pytest
from sqlalchemy import event, insert
from structlog.testing import capture_logs
from world import World, run

from db import guards
from db.adopted import learn
from db.engine import write
from db.tables import ADOPTION

MAKES = (
    "INSERT INTO replication_jobs (id, vm_context_id, source_vm_id, source_vm_name, source_vm_path, v_center_host,"
    " datacenter, replication_type, status, created_at, updated_at) SELECT :id, vm_context_id, source_vm_id,"
    " source_vm_name, source_vm_path, v_center_host, datacenter, replication_type, 'pending', :at, :at"
    " FROM replication_jobs WHERE id = :like"
)
WRITES = "UPDATE replication_jobs SET status = :status WHERE id = :id"


@pytest.fixture
def world(world: World) -> World:
    """A world whose database was an OMA's; its clock is on UTC."""
    now = world.clock.time
    with write(world.engine) as connection:
        connection.execute(insert(ADOPTION).values(id=1, zone="UTC", adopted_at=now, finished_at=now))
        guards.install(connection, adopted=True)
    learn(world.engine)
    return world


def oma_makes(world: World, job_id: str, *, like: str) -> None:
    """The OMA makes the next job of a VM."""
    world.sql(MAKES, id=job_id, like=like, at=str(world.clock.time.replace(tzinfo=None)))


def test_a_job_that_the_oma_makes_is_polled_after_the_next_look(world: World) -> None:
    over = world.job(percent=100)
    world.vma.run(over, 100)

    async def story() -> None:
        async with world.process() as us:
            oma_makes(world, "job-oma", like=over)
            assert "job-oma" not in us.schedule
            await us.monitor.cycle()
            assert "job-oma" in us.schedule
            assert (world.status("job-oma"), world.moves("job-oma")) == ("initializing", ["adopt"])

    run(story())


def test_what_the_oma_wrote_while_we_were_away_is_history_before_anybody_is_asked(world: World) -> None:
    job = world.job("ready_for_sync", age="1m")
    world.sql(WRITES, status="snapshotting", id=job)
    world.vma.run(job, 5)

    async def story() -> None:
        async with world.process() as us:
            await us.recovery_over()
            assert world.moves(job)[-1] == "start", "and not by what the VMA said"
            assert world.row(job)["progress_percent"] == 5

    run(story())


def test_a_failure_that_the_oma_writes_takes_the_job_out_of_the_schedule(world: World) -> None:
    job = world.job(percent=30)
    world.vma.run(job, 40)

    async def story() -> None:
        async with world.process() as us:
            world.sql(WRITES, status="cancelled", id=job)
            await us.monitor.cycle()
            assert job not in us.schedule
            assert (world.status(job), world.row(job)["ending"]) == ("failed", "confirmed")
            counted = us.service.metrics.registry.get_sample_value(
                "oma_fsm_transitions_total", {"edge": "workflow_fails", "to_state": "failed", "ending": "confirmed"}
            )
            assert counted == 1

    run(story())


def test_an_unknown_word_of_the_omas_is_logged_once(world: World) -> None:
    job, other = world.job(percent=30), world.job(percent=30)
    for each in (job, other):
        world.vma.run(each, 40)

    async def story() -> None:
        async with world.process() as us:
            world.sql(WRITES, status="defragmenting", id=job)
            with capture_logs() as logs:
                for _ in range(3):
                    await us.monitor.cycle()
            told = [line for line in logs if "does not know" in line["event"]]
            assert [(line["job_id"], line["status"]) for line in told] == [(job, "defragmenting")]
            assert us.schedule == {other}

    run(story())


def test_a_database_of_our_own_is_not_searched_for_an_omas_writes(url: str) -> None:
    world = World(url)
    statements: list[str] = []
    event.listen(world.engine, "before_cursor_execute", lambda _c, _cursor, text, *_: statements.append(text))

    async def story() -> None:
        async with world.process() as us:
            await us.monitor.cycle()

    run(story())
    world.engine.dispose()
    assert statements
    assert not [text for text in statements if "job_history" in text]
