"""The baseline of recover.py: a poller as one would write it with transitions, SQLModel and httpx.

It reads the active jobs at its start, asks the VMA about each under its job id or its exports, and writes what it heard
with `session.get` and `commit`. It has no evidence of several disks, no history of stays, no watch.

Run by recover.py: python naive_poller.py DATABASE_URL VMA_URL KEY
"""

import asyncio
import sys
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import transitions
from sqlalchemy import create_engine
from sqlmodel import Session, select

from db.models import OsseaVolume, ReplicationJob, VmDisk

AT_ONCE = 50  # requests
ENDS = {"completed": "vma_completed", "succeeded": "vma_completed", "failed": "vma_failed", "error": "vma_failed"}
MACHINE = transitions.Machine(
    model=None,
    states=["replicating", "completed", "failed"],
    transitions=[
        ["vma_running", "replicating", None],
        ["vma_completed", "replicating", "completed"],
        ["vma_failed", "replicating", "failed"],
    ],
    auto_transitions=False,
)


class Copy:
    """The machine's model."""


def active(session: Session) -> dict[str, list[str]]:
    """The active jobs with their exports."""
    jobs = {job.id: [] for job in session.exec(select(ReplicationJob).where(ReplicationJob.status == "replicating"))}
    joined = select(VmDisk.job_id, OsseaVolume.volume_id).where(VmDisk.ossea_volume_id == OsseaVolume.id)
    for job_id, volume_id in session.exec(joined):
        jobs.setdefault(job_id, []).append(f"migration-vol-{volume_id}")
    return jobs


async def ask(client: httpx.AsyncClient, keys: list[str]) -> list[dict[str, Any]]:
    """What the VMA says under each key."""
    answers = []
    for key in keys:
        answer = await client.get(f"/api/v1/progress/{key}")
        if answer.status_code == 200:
            answers.append(answer.json())
    return answers


def write(engine: Any, job_id: str, answers: list[dict[str, Any]]) -> None:
    """Move the job and keep its progress."""
    with Session(engine) as session:
        job = session.get(ReplicationJob, job_id)
        assert job is not None  # noqa: S101
        copy: Any = Copy()
        MACHINE.add_model(copy, initial=job.status)
        words = {answer["status"].lower() for answer in answers}
        event = ENDS.get(words.pop(), "vma_running") if len(words) == 1 else "vma_running"
        getattr(copy, event)()
        MACHINE.remove_model(copy)
        job.status, job.vma_last_poll_at = copy.state, datetime.now(UTC)
        job.bytes_transferred = sum(answer["bytes_transferred"] for answer in answers)
        session.add(job)
        session.commit()


async def recover(database: str, vma: str, key: str) -> int:
    """Ask about every active job; how many were found running."""
    engine = create_engine(database)
    with Session(engine) as session:
        jobs = active(session)
    places, found = asyncio.Semaphore(AT_ONCE), 0
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=vma, timeout=10, limits=limits, trust_env=False) as client:

        async def one(job_id: str, exports: list[str]) -> None:
            nonlocal found
            async with places:
                answers = await ask(client, [job_id] if key == "job_id" else exports)
                await asyncio.to_thread(write, engine, job_id, answers)
                found += bool(answers)

        await asyncio.gather(*(one(job_id, exports) for job_id, exports in jobs.items()))
    return found


if __name__ == "__main__":
    began = time.perf_counter()
    print(asyncio.run(recover(*sys.argv[1:])), time.perf_counter() - began)
