"""The VMA of a trial: it holds what copies posted, forgets, and is away, odd or unfriendly for a while."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

from trial_bytes import Entry, reply
from trial_copy import RUNNING, Copy, Forgotten

from fsm.facts import Disk, JobFacts
from vma.wire import read, unheard
from vma.wire_models import Answer, Kind, Reply

FLAPS_EVERY = 10.0  # seconds away, seconds there
ODD_WORDS = (("Throttled", "Transfer"), ("Hibernating", "Dreaming"))
ODD_PERCENT = (150, -5, "42", float("nan"), None)

REFUSED, GATEWAY, GARBAGE, DENIED, BUSY, FLAPPING, FLAKY = (
    "refused",
    "503",
    "garbage",
    "401",
    "429",
    "flapping",
    "flaky",
)
GARBLED = (
    (500, b"boom"),
    (200, b"<html><body>nginx</body></html>"),
    (404, b"404 page not found\n"),
    (200, b"null"),
    (200, b""),
    (200, b'{"job_id":"'),
    (200, b'{"percentage":"49"}'),
)
ABSENT = ((404, b"job not found\n"), (200, b"job not found"), (200, b'{"error":"job not found"}'))


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong between us and the VMA for a while."""

    begin: float
    end: float
    kind: str


@cache
def _fixed(key: str, status: int, body: bytes, retry_after: str = "") -> Answer:
    return read(key, Reply(status, {"Retry-After": retry_after} if retry_after else {}, body))


@dataclass(slots=True)
class Asked:
    """What one poll got; `plain` if nothing about it was odd."""

    plain: bool = True
    answers: dict[str, Answer] = field(default_factory=dict)


@dataclass(slots=True)
class TrialVma:
    """`stale` are entries that earlier runs left behind; `ahead` is its clock's error in seconds."""

    random: random.Random
    copies: list[Copy] = field(default_factory=list)
    stale: dict[str, Entry] = field(default_factory=dict)
    forgets: list[Forgotten] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    ahead: float = 0.0
    absent: tuple[int, bytes] = ABSENT[0]
    odd: float = 0.0  # share of answers with something odd
    _held: tuple[float, dict[str, tuple[Copy | None, Entry]]] = (-1e9, {})

    def trouble(self, now: float) -> str | None:
        """What is wrong now, if anything."""
        for trouble in self.troubles:
            if trouble.begin <= now < trouble.end:
                if trouble.kind is not FLAPPING:
                    return trouble.kind
                return REFUSED if (now - trouble.begin) // FLAPS_EVERY % 2 == 0 else None
        return None

    def _began(self, now: float) -> float:
        return next((t.begin for t in self.troubles if t.begin <= now < t.end), 0.0)

    def flaps(self, now: float) -> bool:
        """True while it comes and goes."""
        return any(t.kind is FLAPPING and t.begin <= now < t.end for t in self.troubles)

    def forgot(self, now: float) -> Forgotten:
        """Its last restart."""
        return max((f for f in self.forgets if f.at <= now), key=lambda f: f.at, default=Forgotten())

    def holds(self, now: float) -> dict[str, tuple[Copy | None, Entry]]:
        """Its map: whose entry stands under which key. The newest copy overwrites."""
        if self._held[0] != now:
            self._held = (now, self._holds(now))
        return self._held[1]

    def _holds(self, now: float) -> dict[str, tuple[Copy | None, Entry]]:
        forgot = self.forgot(now)
        found: dict[str, tuple[Copy | None, Entry]] = {}
        if not self.forgets or forgot.at < 0:
            found = {key: (None, entry) for key, entry in self.stale.items()}
        for copy in self.copies:
            found |= {key: (copy, entry) for key, entry in copy.entries(now, forgot).items()}
        return found

    def ask(self, now: float, next_keys: Callable[[dict[str, Answer]], tuple[str, ...]]) -> Asked:
        """The answers about one job."""
        asked, held = Asked(), self.holds(now)
        trouble = self.trouble(now)
        asked.plain = trouble is None
        while keys := next_keys(asked.answers):
            for key in keys:
                asked.answers[key] = self._answer(key, held, trouble, now, asked)
        return asked

    def _answer(
        self, key: str, held: dict[str, tuple[Copy | None, Entry]], trouble: str | None, now: float, asked: Asked
    ) -> Answer:
        if trouble is FLAKY:
            trouble = self.random.choice((None, None, REFUSED, GARBAGE))
        if trouble is not None:
            return self._wrong(key, trouble, self._began(now))
        copy, entry = held.get(key, (None, None))
        if entry is None:
            return _fixed(key, *self.absent)
        if copy is not None and copy.truth(now) == RUNNING and self.random.random() < self.odd:
            asked.plain = False
            entry = self._odd(entry)
        started = None if entry.start is None else entry.start + self.ahead
        generation = "current" if copy is None else copy.generation
        return read(key, reply(generation, replace(entry, start=started), now + self.ahead))

    def _wrong(self, key: str, trouble: str, began: float) -> Answer:
        if trouble is REFUSED:
            return unheard(key, Kind.UNREACHABLE, "connection refused")
        if trouble is GATEWAY:
            return _fixed(key, 503, b"no backend")
        if trouble is DENIED:
            return _fixed(key, 401, b"who are you")
        if trouble is BUSY:
            return _fixed(key, 429, b"slow down", "45")
        return _fixed(key, *GARBLED[int(began) % len(GARBLED)])  # one program on the port says one thing

    def _odd(self, entry: Entry) -> Entry:
        if self.random.random() < 0.5:
            return replace(entry, words=self.random.choice(ODD_WORDS))
        return replace(entry, percent=self.random.choice(ODD_PERCENT))

    @property
    def haunted(self) -> bool:
        """True if an earlier run died and its entry still says that it runs."""
        return any(not is_end(entry) for entry in self.stale.values())

    def foreign(self, job: JobFacts, copy: Copy, now: float) -> bool:
        """True if an export of the job says what another run left there, and that this runs."""
        held = self.holds(now)
        return any(
            key in held and held[key][0] is not copy and not is_end(held[key][1]) for key in map(_export, job.disks)
        )


def _export(disk: Disk) -> str:
    return disk.export_name or ""


def is_end(entry: Entry) -> bool:
    return entry.words[0].casefold() in ("completed", "succeeded", "failed", "error")
