"""How the table of answers is written, and how a row of it is played.

A stored job is `job(state, disks, …)`; its disks a, b, c hold 100, 20 and 40 GiB. An answer is a name in `FIXED`, or
an envelope in words: `status/phase done/total percent% …`, bytes in GiB. Keys are a, b, c for the export names and
`job` for the job's own id; under a key that a row does not name the VMA says "job not found".
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from vma_answers import EXPORT_A, EXPORT_B, EXPORT_C, GIB, JOB, NOW, A, B, C, envelope, rfc3339
from vma_answers import row as disk_row

from fsm.decision import Decision
from fsm.facts import Asked, JobFacts
from fsm.machine import decide_on
from fsm.memory import DiskMemory, Memory
from fsm.states import Asker, Ending, State
from vma.composite import compose
from vma.hearing import Hearing
from vma.keys import next_keys
from vma.question import Question
from vma.wire import read, unheard
from vma.wire_models import Answer, Kind, Reply

DISKS = {"a": A, "b": B, "c": C}
KEYS = {"a": EXPORT_A, "b": EXPORT_B, "c": EXPORT_C, "job": JOB}
DATE = "%a, %d %b %Y %H:%M:%S GMT"
FIXED: dict[str, tuple[int, bytes]] = {
    "404": (404, b"job not found\n"),
    "404 wrong url": (404, b"404 page not found\n"),
    "404 html": (404, b"<html><h1>404 Not Found</h1></html>"),
    "404 empty": (404, b""),
    "200 text not found": (200, b"job not found"),
    "200 json not found": (200, b'{"error":"job not found","code":404}'),
    "200 not found, dressed as an error": (200, json.dumps({"job_id": JOB, "status": "error", "error": "job not found"})
                                           .encode()),
    "200 another job not found": (200, b'{"error":"Job not found: job-other"}'),
    "200 null": (200, b"null"),
    "200 empty": (200, b""),
    "200 html": (200, b"<html>completed</html>"),
    "200 list": (200, b'[{"status":"completed"}]'),
    "200 percentage only": (200, b'{"percentage":"49"}'),
    "200 no job id": (200, b'{"status":"completed","percentage":100}'),
    "200 other job": (200, json.dumps(envelope("job-other", "completed", percentage=100)).encode()),
    "200 cut": (200, json.dumps(envelope(JOB, "completed", percentage=100)).encode()[:-30]),
    "301": (301, b""),
    "401": (401, b""),
    "403": (403, b""),
    "405": (405, b""),
    "429": (429, b"slow down"),
    "500": (500, b"runtime error"),
    "500 not found": (500, b"job not found\n"),
    "502": (502, b""),
    "503": (503, b""),
    "504": (504, b"job not found\n"),
}  # fmt: skip
FLAGS = ("undated", "endless")  # no Date header; a body longer than we read
UNHEARD = ("refused", "no such host", "timed out", "reset", "closed at once")


@dataclass(frozen=True)
class Case:
    """One row: what it shows, the job, the answers, and what they come to: `verdict -> where` and a little more."""

    shows: str
    job: JobFacts
    answers: dict[str, str]
    comes_to: str
    before: tuple[str, ...] = ()  # how long ago the same was answered already
    up: str = "10d"  # how long our process has been up
    percent: float | None = None  # of the job, afterwards
    asked: str | None = None  # the keys that were asked, in order
    more: dict[str, object] = field(default_factory=dict)  # of the evidence


def case(shows: str, stored: JobFacts, answers: dict[str, str], comes_to: str, *before: str, **more: Any) -> Case:
    """A row; what it has no column for is compared with the evidence."""
    known = {name: more.pop(name) for name in ("percent", "asked", "up") if name in more}
    return Case(shows, stored, answers, comes_to, before, **known, more=more)


def span(written: str) -> timedelta:
    """'30s', '15m', '7d'."""
    return timedelta(seconds=float(written[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[written[-1]])


def job(
    state: str = "replicating", disks: str = "a", *, entered: str = "50m", created: str = "1h", **given: Any
) -> Any:
    """A stored job. `proven`, `was` (baselines), `seen` (bytes last seen) are by disk; `key` answered last."""
    heard, was, seen = given.pop("heard", None), given.pop("was", {}), given.pop("seen", {})
    proven, ending = given.pop("proven", ""), given.pop("ending", None)
    remembered = tuple(
        _remembered(d, d in proven, was.get(d), seen.get(d)) for d in DISKS if d in {*proven, *was, *seen}
    )
    memory = Memory(
        disks=remembered,
        answering_key=given.pop("key", None),
        ended_from=State.REPLICATING if ending else None,
    )
    return JobFacts(
        *(JOB, State(state), NOW - span(created), NOW - span(entered)),
        ending=None if ending is None else Ending(ending),
        watched=ending == "inferred",
        heard_at=None if heard is None else NOW - span(heard),
        polling_since=NOW - span(entered),
        disks=tuple(DISKS[d] for d in disks),
        memory=memory,
        **given,
    )


def _remembered(disk: str, proven: bool, was: str | None, seen: str | None) -> DiskMemory:
    done, total = (None, None) if seen is None else (int(float(n) * GIB) for n in seen.split("/"))
    baseline = None if was is None else answer(disk, was, NOW).entry
    return DiskMemory(DISKS[disk].disk_id, proven, done, total, baseline=baseline)


# --- answers in words -------------------------------------------------------------------------------


def answer(key: str, written: str, now: datetime) -> Answer:
    """The answer under a key, read from the bytes that the words stand for."""
    name = KEYS[key]
    if written in UNHEARD:
        return unheard(name, Kind.UNREACHABLE, written)
    if written in FIXED:
        status, body = FIXED[written]
        retry = {"Retry-After": "7"} if status == 429 else {}
        return read(name, Reply(status, {"Date": now.strftime(DATE), **retry}, body))
    words, *marks = written.split()
    return _envelope(name, words.replace("+", " "), dict(_mark(m) for m in marks), now)


def _mark(written: str) -> tuple[str, str]:
    name, equals, value = written.partition("=")
    if equals or name in FLAGS:
        return name, value
    return ("percent", written[:-1]) if written.endswith("%") else ("bytes", written)


def _gib(written: str) -> tuple[int, int]:
    done, total = (round(float(n) * GIB) for n in written.split("/"))
    return done, total


def _envelope(key: str, words: str, marks: dict[str, str], now: datetime) -> Answer:
    status, _, phase = words.partition("/")
    done, total = _gib(marks.get("bytes", "0/0"))
    ahead = timedelta(hours=float(marks.get("clock", 0)))
    start, vma_now = marks.get("start") or rfc3339(NOW + ahead - span(marks.get("run", "30m"))), now + ahead
    percent = json.loads(marks.get("percent", str(100 * done / total if total else 0)))
    rows = [_row(r) for r in marks["rows"].split(",")] if "rows" in marks else []
    if marks.get("gen") == "raw":
        body: dict[str, Any] = _raw(key, status, phase, start, {"percent": percent}) | {"disks": rows}
        body["aggregate"] |= {"bytes_transferred": done, "total_bytes": total}
    else:
        body = envelope(key, status, phase=phase or "Transfer", bytes_transferred=done, total_bytes=total)
        body |= {"percentage": percent, "timing": {"start_time": start, "last_update": rfc3339(vma_now)}}
        body |= {"disk_progresses": rows} if rows else {}
        body |= json.loads(marks.get("with", "{}"))
    headers = {} if "undated" in marks else {"Date": vma_now.strftime(DATE)}
    return read(key, Reply(200, headers, json.dumps(body).encode(), truncated="endless" in marks))


def _raw(key: str, status: str, stage: str, start: str, whole: dict[str, Any]) -> dict[str, Any]:
    return {
        "job_id": key,
        "stage": stage,
        "status": status,
        "started_at": start,
        "aggregate": whole,
        "cbt": {},
        "nbd": {},
    }


def _row(written: str) -> dict[str, Any]:
    disk, numbers, *word = written.split(":")
    disk_id = DISKS[disk].disk_id if disk in DISKS else disk
    return disk_row(disk_id, *_gib(numbers), *word)


# --- playing a row ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Played:
    """The last decision, and the keys that were asked for it."""

    decision: Decision
    asked: str

    @property
    def came_to(self) -> str:
        """`verdict -> where`, as the table writes it."""
        after, evidence = self.decision.after, self.decision.evidence
        where = f"{after.state}/{after.ending}" if after.ending else str(after.state)
        attention = f" !{after.memory.attention}" if after.memory.attention else ""
        return f"{evidence.verdict if evidence else None} -> {where if self.decision.moved else 'stays'}{attention}"


def play(row: Case) -> Played:
    """Ask as often as the row says, last of all now."""
    facts, started = row.job, NOW - span(row.up)
    for ago in (*row.before, "0s"):
        played = _poll(facts, row.answers, NOW - span(ago), started)
        facts = played.decision.after
    return played


def _poll(facts: JobFacts, written: dict[str, str], now: datetime, started: datetime) -> Played:
    question, answers = Question.of(facts), dict[str, Answer]()
    letters = {name: letter for letter, name in KEYS.items()}
    while keys := next_keys(Hearing(question, answers, now)):
        answers |= {key: answer(letters[key], written.get(letters[key], "404"), now) for key in keys}
    uptime = (now - started).total_seconds()
    evidence = compose(Hearing(question, answers, now), observer="us", uptime=uptime)
    decision = decide_on(facts, evidence, now, asked=Asked(Asker.POLL))
    return Played(decision, " ".join(letters[k] for k in answers))
