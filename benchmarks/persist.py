"""Transitions a second, persisted: `Store.answer` beside the raw driver, SQLModel and Django, on each database.

Each completes jobs that replicate. The others only write state, version and a row of history with some JSON; ours
holds what it remembers of the jobs since they were asked about against their rows, decides, swaps state and version,
writes the history row with its why, the VM context, the disk, the polling row and the sample for the curve, and the
database's guards check every row of it.

Run: python benchmarks/persist.py [sqlite|postgresql|mariadb ...]
"""

import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy
import structlog

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "db")]

from persist_contenders import Contender, Ids, NaiveSqlModel, RawDriver  # noqa: E402
from servers import empty, kinds  # noqa: E402
from sqlalchemy import Engine, func, select  # noqa: E402
from store_builders import MIB, NOW, POLL, SIZE, Vm, evidence, rows  # noqa: E402
from test_store_batches import copies  # noqa: E402

from db.engine import make_engine, read  # noqa: E402
from db.store import Answer, Store  # noqa: E402
from db.tables import HISTORY, JOBS  # noqa: E402
from db.types import encoded  # noqa: E402
from fsm.policy import DEFAULT_POLICY  # noqa: E402
from migrations import runner  # noqa: E402

SINGLES = 150
BATCHES = (100, 1000)
ROUNDS = 3  # of every batch; the quickest counts


class Ours(Contender):
    """`Store.answer`: one transaction a call."""

    name = "oma-fsm"

    def __init__(self, engine: Engine, note: str) -> None:
        super().__init__(engine, note)
        self.store = Store(engine, DEFAULT_POLICY)
        self.made: dict[str, str] = {}

    def make(self, ids: Ids) -> None:
        self.made = dict(zip(ids, copies(Vm(self.store).replicate(), len(ids)), strict=True))
        self.store.load(self.made.values())  # as the poller does before it asks

    def complete(self, ids: Ids) -> None:
        answers = [Answer(self.made[i], 4, evidence("completed", done=SIZE), POLL) for i in ids]
        self.store.answer(answers, NOW)

    def completed(self) -> int:
        of_these = JOBS.c.id.in_(list(self.made.values()))
        joined = JOBS.join(HISTORY, (HISTORY.c.job_id == JOBS.c.id) & (HISTORY.c.seq == JOBS.c.version))
        query = select(func.count()).select_from(joined).where(of_these, HISTORY.c.to_state == "completed")
        with read(self.engine) as connection:
            return int(connection.scalar(query) or 0)


def contenders(engine: Engine, note: str) -> list[Contender]:
    """All that can run here."""
    found: list[Contender] = [RawDriver(engine, note), NaiveSqlModel(engine, note), Ours(engine, note)]
    try:
        from persist_django import Django  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        print(f"django is left out: {missing}")
    else:
        found.append(Django(engine, note))
    return found


def kept_json(store: Store) -> str:
    """What one of our history rows says in JSON: the others keep as much."""
    vm = Vm(store).replicate()
    vm.hear("running", done=MIB)
    vm.hear("completed", done=SIZE)
    row = rows(store, HISTORY, job_id=vm.job_id)[-1]
    return encoded({name: row[name] for name in ("facts", "facts_before", "evidence", "verdicts")})


def single(contender: Contender) -> float:
    """Seconds of one transition in a transaction of its own, in the middle."""
    ids = _ids(SINGLES)
    contender.make(ids)
    times = [_timed(lambda job_id=job_id: contender.complete([job_id])) for job_id in ids]  # type: ignore[misc]
    _require(contender, SINGLES)
    return statistics.median(times)


def batch(contender: Contender, size: int) -> float:
    """Seconds of a job in a batch, at best."""
    best = float("inf")
    for _ in range(ROUNDS):
        ids = _ids(size)
        contender.make(ids)
        best = min(best, _timed(lambda ids=ids: contender.complete(ids)))  # type: ignore[misc]
        _require(contender, size)
    return best / size


def _ids(count: int) -> list[str]:
    return [f"job-20260101-000000.000-{n:06x}" for n in range(count)]


def _timed(run: Callable[[], None]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _require(contender: Contender, count: int) -> None:
    if (done := contender.completed()) != count:
        raise SystemExit(f"{contender.name} completed {done} of {count} jobs")


def measure(kind: str) -> None:
    """One database."""
    with tempfile.TemporaryDirectory() as folder, empty(kind, Path(folder)) as url:
        engine = make_engine(url)
        runner.upgrade(engine)
        note = kept_json(Store(engine, DEFAULT_POLICY))
        print(f"\n{kind} ({_version(engine)}); history JSON of {len(note)} bytes; µs a transition (per second)")
        heads = ("alone", *(f"batch of {size}" for size in BATCHES))
        print(" " * 24 + "".join(f"{head:>26}" for head in heads))
        table = {c.name: [single(c), *(batch(c, size) for size in BATCHES)] for c in contenders(engine, note)}
        for name, times in table.items():
            print(f"{name:24}" + "".join(f"{f'{t * 1e6:,.0f} ({1 / t:,.0f}/s)':>26}" for t in times))
        for other in table.keys() - {Ours.name}:
            ratios = [theirs / ours for theirs, ours in zip(table[other], table[Ours.name], strict=True)]
            print(f"{f'times {other}':24}" + "".join(f"{ratio:>26.2f}" for ratio in ratios))
        engine.dispose()


def _version(engine: Engine) -> str:
    with read(engine) as connection:
        return ".".join(map(str, connection.dialect.server_version_info or ("?",)))


def main() -> None:
    """Each database in a process of its own: Django is configured once a process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if len(sys.argv) == 2:
        measure(sys.argv[1])
        return
    print(
        f"Python {platform.python_version()}, SQLAlchemy {sqlalchemy.__version__},"
        f" {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    for kind in sys.argv[1:] or kinds():
        subprocess.run([sys.executable, __file__, kind], check=True)  # noqa: S603 # ourselves


if __name__ == "__main__":
    main()
