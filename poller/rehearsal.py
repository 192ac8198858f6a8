"""A recovery that writes nothing: every job is asked about, and it is only said what would be decided."""

import asyncio

from db.load import Loaded, chunks
from fsm.decision import Decision
from fsm.facts import Asked
from fsm.machine import decide_on
from poller.poller import Poller


async def rehearse(poller: Poller, asked: Asked) -> list[Decision]:
    """The decision on every job that must be polled, but those of appliances that are paused. By job id."""
    jobs = await asyncio.to_thread(poller.store.polled_jobs)
    ids = [job.job_id for job in jobs if not poller.client.paused(job.appliance)]
    found: dict[str, Loaded] = {}
    for some in chunks(ids):
        found |= await asyncio.to_thread(poller.store.load, some)
    return list(await asyncio.gather(*(_decide(poller, found[job_id], asked) for job_id in sorted(found))))


async def _decide(poller: Poller, loaded: Loaded, asked: Asked) -> Decision:
    evidence = await poller.ask(loaded.facts)
    return decide_on(loaded.facts, evidence, poller.observer.now(), asked=asked, policy=poller.store.policy)
