"""The real app on a real SQLite file, with a VMA stub on a real socket; no web server between test and app."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from fastapi import FastAPI

from api.app import create_app
from api.facade import OmaFsm
from api.settings import Settings, VmaSettings
from fsm.policy import RecoveryPolicy
from vma.observer import Observer

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SIZE = 1000  # bytes of every disk
API = "/api/v1"
JOBS = f"{API}/replications"
ANNA = {"asked_by": "operator", "actor": "anna", "reason": "looked at it on the VMA"}
# Silence is believed at once: the first not-found or unreachable answer ends a replicating job by inference.
AT_ONCE = {"inference_ripe": 0, "polling_grace": 0, "absence_grace": 0, "unreachable_after": 0}


@dataclass
class Clock:
    """The wall clock; it stands still until told otherwise."""

    time: datetime = NOON

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class StubVma:
    """Answers what it was told under each key, and that it knows nothing of all others."""

    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    down: bool = False
    asked: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    def say(self, key: str, status: str = "in_progress", percent: float = 40.0) -> None:
        done = round(percent * SIZE / 100)
        self.entries[key] = {
            "job_id": key, "status": status, "phase": "Transfer", "percentage": percent,
            "bytes_transferred": done, "total_bytes": SIZE, "throughput": {"current_mbps": 12.5},
        }  # fmt: skip

    def hold(self) -> None:
        """No answer until `release`."""
        self.gate.clear()

    def release(self) -> None:
        self.gate.set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["StubVma"]:
        self.gate.set()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            key = head.split()[1].rpartition("/")[2]
            self.asked.append(key)
            await self.gate.wait()
            if not self.down:
                writer.write(self._response(key))
                await writer.drain()
        finally:
            writer.close()

    def _response(self, key: str) -> bytes:
        known = key in self.entries
        body = json.dumps(self.entries[key]).encode() if known else b"job not found\n"
        head = (
            f"HTTP/1.1 {'200 OK' if known else '404 Not Found'}\r\nContent-Length: {len(body)}\r\n"
            f"Content-Type: {'application/json' if known else 'text/plain'}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


@dataclass
class Stage:
    """What the tests act on."""

    http: httpx.AsyncClient
    app: FastAPI
    service: OmaFsm
    vma: StubVma
    clock: Clock

    async def get(self, path: str, code: int = 200, **query: Any) -> dict[str, Any]:
        return self.body(await self.http.get(path, params=query or None), code)

    async def post(self, path: str, body: Any = None, code: int = 200, **query: Any) -> dict[str, Any]:
        return self.body(await self.http.post(path, json=body, params=query or None), code)

    async def put(self, path: str, body: Any, code: int = 200) -> dict[str, Any]:
        return self.body(await self.http.put(path, json=body), code)

    @staticmethod
    def body(answer: httpx.Response, code: int) -> dict[str, Any]:
        assert answer.status_code == code, answer.text
        assert answer.headers["content-type"] == "application/json"
        body: dict[str, Any] = answer.json()
        return body

    async def create(self, vm: str = "web-01", disks: int = 1, **more: Any) -> str:
        """A job of a VM; its id."""
        body = await self.post(JOBS, new_job(vm, disks) | more, 201)
        return str(body["job_id"])

    async def fire(self, job_id: str, event: str, body: Any = None, code: int = 200, **query: Any) -> dict[str, Any]:
        return await self.post(f"{JOBS}/{job_id}/events/{event}", body, code, **query)

    async def give_volumes(self, job_id: str, disks: int = 1) -> None:
        for n in range(disks):
            await self.put(f"{JOBS}/{job_id}/disks/disk-{2000 + n}/volume", {"volume_id": f"{job_id}-vol{n}"})

    async def replicating(self, vm: str = "web-01", disks: int = 1, *, runs: bool = True) -> str:
        """A job whose copy was started; unless told otherwise the VMA says that it runs."""
        job_id = await self.create(vm, disks)
        await self.give_volumes(job_id, disks)
        for event in ("attach", "configure", "ready"):
            await self.fire(job_id, event)
        if runs:
            self.service.polling.poller.drop(job_id)  # nobody hears of the copy before it is started
            self.vma.say(job_id)
        await self.fire(job_id, "start")
        return job_id

    async def running(self, vm: str = "web-01") -> str:
        """A job of which the VMA was heard to say that it runs, 40 % done."""
        job_id = await self.replicating(vm)
        await self.until(job_id, lambda job: job["progress_percent"] == 40.0)
        return job_id

    async def inferred_end(self, vm: str = "web-01") -> str:
        """A replicating job that the VMA knows nothing of; needs the policy AT_ONCE."""
        job_id = await self.replicating(vm, runs=False)
        await self.until(job_id, lambda job: job["ending"] == "inferred")
        return job_id

    async def until(self, job_id: str, happens: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The job, once something is true of it."""
        job = await self.job(job_id)
        while not happens(job):  # the guard of `run` ends a wait in vain
            await asyncio.sleep(0.005)
            job = await self.job(job_id)
        return job

    async def job(self, job_id: str) -> dict[str, Any]:
        return await self.get(f"{JOBS}/{job_id}")


def new_job(vm: str = "web-01", disks: int = 1) -> dict[str, Any]:
    """What the workflow posts."""
    return {
        "vm_name": vm, "vmware_vm_id": f"id-{vm}", "vm_path": f"/DC/vm/{vm}", "vcenter_host": "vcenter.example",
        "disks": [{"disk_id": f"disk-{2000 + n}", "capacity_bytes": SIZE} for n in range(disks)],
    }  # fmt: skip


@asynccontextmanager
async def stage(
    url: str, *, vma: StubVma | None = None, raise_app_exceptions: bool = True, **policy: Any
) -> AsyncIterator[Stage]:
    """The app within its lifespan."""
    clock = Clock()
    async with (vma or StubVma()).listening() as stub:
        settings = Settings(
            database_url=url, vma=VmaSettings.model_validate({"url": stub.url}), policy=RecoveryPolicy(**policy)
        )
        service = OmaFsm(settings, observer=Observer(clock=clock))
        app = create_app(service)
        transport = httpx.ASGITransport(app, raise_app_exceptions=raise_app_exceptions)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://oma") as http,
        ):
            if service.ready:  # else a test's first jobs would belong to the recovery at start
                await service.polling.recovery.finished.wait()
                await service.polling.recovery.flush()
            yield Stage(http, app, service, stub, clock)


Story = Callable[[Stage], Awaitable[None]]


def run(url: str, story: Story, seconds: float = 60.0, **options: Any) -> None:
    """Play a story; one that hangs is a failure."""

    async def guarded() -> None:
        async with asyncio.timeout(seconds), stage(url, **options) as on:
            await story(on)

    asyncio.run(guarded())
