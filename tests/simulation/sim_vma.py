"""The appliances of a simulated world: copies that run by virtual time, and everything that can be wrong with a VMA.

They are asked by the real `VmaClient`, with its breaker, its places and its reader of answers; only the sockets are
missing.
"""

import asyncio
import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import httpx

from fsm.evidence import Evidence
from vma.client import VmaClient, VmaLimits
from vma.observer import Observer
from vma.question import Question
from vma.wire_models import Reply

NEVER = math.inf
UNBORN, RUNNING, FINISHED, FAILED, VANISHED = "unborn", "running", "finished", "failed", "vanished"
# What can be wrong with an appliance, or with the way to it, for a while.
REFUSED, HUNG, SLOW, GATEWAY, GARBAGE, DENIED, BUSY, FLAPPING = TROUBLES = (
    "refused", "hung", "slow", "gateway", "garbage", "denied", "busy", "flapping",
)  # fmt: skip
FLAPS_EVERY = 10.0  # seconds away, seconds there
RETRY_AFTER = "20"  # seconds, as a busy VMA writes it
JSON = {"content-type": "application/json"}
ABSENT = Reply(404, {"content-type": "text/plain"}, b"job not found\n")
GARBLED = (
    Reply(500, {}, b"boom"),
    Reply(200, JSON, b"<html><body>nginx</body></html>"),
    Reply(404, {}, b"404 page not found\n"),
    Reply(200, JSON, b'{"job_id":"'),
)
WRONG = {
    GATEWAY: Reply(503, {}, b"no backend"),
    DENIED: Reply(401, {}, b"who are you"),
    BUSY: Reply(429, {"retry-after": RETRY_AFTER}, b"slow down"),
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong for a while."""

    begin: float
    length: float
    kind: str

    @property
    def end(self) -> float:
        return self.begin + self.length

    def holds(self, now: float) -> str | None:
        """What is wrong at this moment."""
        if not self.begin <= now < self.end:
            return None
        if self.kind != FLAPPING:
            return self.kind
        return REFUSED if (now - self.begin) // FLAPS_EVERY % 2 == 0 else None


@dataclass(frozen=True, slots=True)
class Restart:
    """The VMA's process is restarted: what was posted is forgotten. Copies live on, silent for a while, or die too."""

    at: float
    mute: float
    deadly: bool = False


@dataclass(slots=True)
class Copy:
    """One run of the copy process. Times in seconds of the world; bytes."""

    job_id: str
    disks: tuple[str, ...]
    size: int  # of every disk
    first_post: float  # seconds after its start
    length: float  # seconds from its first post to its last
    fate: str
    started: float = NEVER
    over: float = NEVER

    def start(self, now: float) -> None:
        """It begins now."""
        self.started, self.over = now, now + self.first_post + self.length

    def kill(self, now: float) -> None:
        """It dies without a word."""
        if self.truth(now) == RUNNING:
            self.over, self.fate = now, VANISHED

    def truth(self, now: float) -> str:
        """What is really the case."""
        if now < self.started:
            return UNBORN
        return RUNNING if now < self.over else self.fate

    def share(self, now: float) -> float:
        """How much of it is done, 0-1."""
        return min(max((min(now, self.over) - self.started - self.first_post) / self.length, 0.0), 1.0)


@dataclass(slots=True)
class Appliance:
    """One VMA."""

    name: str
    seed: int
    troubles: list[Trouble] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)  # those that have happened
    copies: dict[str, Copy] = field(default_factory=dict)
    questions: int = 0

    def restart(self, restart: Restart) -> None:
        """It happens now."""
        self.restarts.append(restart)
        for copy in self.copies.values():
            if restart.deadly:
                copy.kill(restart.at)

    def trouble(self, now: float) -> str | None:
        """What is wrong now."""
        return next((kind for t in self.troubles if (kind := t.holds(now))), None)

    def shown(self, job_id: str, now: float) -> tuple[str, float] | None:
        """What it holds about a job, and since when it has said so; None: nothing."""
        copy = self.copies.get(job_id)
        if copy is None or now < copy.started:
            return None
        forgot = self.restarts[-1] if self.restarts else Restart(-NEVER, 0.0)
        speaks = copy.started + copy.first_post
        if forgot.at >= speaks:
            speaks = forgot.at + forgot.mute
        if copy.truth(now) == RUNNING:
            return (RUNNING, speaks) if speaks <= now else None
        if forgot.at >= copy.over:
            return None
        if copy.fate == VANISHED:
            return (RUNNING, speaks) if speaks < copy.over else None
        return copy.fate, copy.over

    def answer(self, key: str | None, now: float) -> tuple[float, Reply | httpx.TransportError]:
        """What comes back, and after how many seconds. No key: the health endpoint."""
        self.questions += 1
        luck = zlib.crc32(b"%d %s %d" % (self.seed, self.name.encode(), self.questions)) / 2**32
        trouble, seconds = self.trouble(now), 0.01 + 0.05 * luck
        if trouble == REFUSED:
            return 0.002, httpx.ConnectError("connection refused")
        if trouble == HUNG:
            return 4.0, httpx.ReadTimeout("no byte for 4 s")
        if trouble == SLOW:
            seconds = 2.0 + 3.5 * luck
        elif trouble is not None:
            return seconds, WRONG.get(trouble) or GARBLED[int(luck * len(GARBLED))]
        return seconds, self._health() if key is None else self._entry(key, now)

    def _health(self) -> Reply:
        return Reply(200, JSON, b'{"status":"healthy"}')

    def _entry(self, job_id: str, now: float) -> Reply:
        shown = self.shown(job_id, now)
        if shown is None:
            return ABSENT
        copy = self.copies[job_id]
        word = {RUNNING: "in_progress", FINISHED: "completed", FAILED: "failed"}[shown[0]]
        whole = copy.size * len(copy.disks)
        done = whole if word == "completed" else int(whole * copy.share(now))
        rows = self._rows(copy, done, word) if len(copy.disks) > 1 else ""
        body = (
            f'{{"job_id":"{job_id}","status":"{word}","sync_type":"full","phase":"Transfer",'
            f'"percentage":{100 * done / whole:.3f},"current_operation":"Transfer","bytes_transferred":{done},'
            f'"total_bytes":{whole},"throughput":{{"current_mbps":50}},"timing":{{"eta_seconds":0}},'
            f'"vm_info":{{"name":"not found"}},"errors":[],"last_error":null{rows}}}'
        )
        return Reply(200, JSON, body.encode())

    def _rows(self, copy: Copy, done: int, word: str) -> str:
        """One disk after another."""
        rows = []
        for n, disk in enumerate(copy.disks):
            of_disk = min(max(done - n * copy.size, 0), copy.size)
            if of_disk or n == 0:
                state = word if word == "failed" and of_disk < copy.size else "Streaming"
                rows.append(f'{{"disk_id":"{disk}","bytes_transferred":{of_disk},"total_bytes":{copy.size},'
                            f'"status":"{state}"}}')  # fmt: skip
        return f',"disk_progresses":[{",".join(rows)}]'


class SimClient(VmaClient):
    """The real client of one appliance, without sockets."""

    def __init__(self, appliance: Appliance, observer: Observer, limits: VmaLimits, now: Callable[[], float]) -> None:
        super().__init__("http://vma.example", name=appliance.name, limits=limits, observer=observer)
        self._appliance, self._now = appliance, now

    def _written(self, path: str) -> None:  # type: ignore[override]
        """No bytes are sent: a question is its key, and the health endpoint has none."""

    def _new_question(self, key: str) -> str:  # type: ignore[override]
        return key

    async def _fetch(self, request: object) -> Reply:
        seconds, said = self._appliance.answer(request if isinstance(request, str) else None, self._now())
        await asyncio.sleep(seconds)
        if isinstance(said, Reply):
            return said
        raise said


class SimFleet:
    """Stands in for `vma.fleet.Fleet`."""

    def __init__(
        self, appliances: Iterable[Appliance], observer: Observer, now: Callable[[], float], paused: set[str]
    ) -> None:
        limits = VmaLimits()
        self.clients = {a.name: SimClient(a, observer, limits, now) for a in appliances}
        self._paused = paused

    def paused(self, name: str) -> bool:
        return name in self._paused

    async def ask(self, question: Question) -> Evidence:
        return await self.clients[question.appliance].ask(question)

    async def aclose(self) -> None:
        for client in self.clients.values():
            await client.aclose()
