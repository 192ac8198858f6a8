"""Microseconds per decision: `decide` beside a dict table, bare `transitions` and python-statemachine, in one run.

The others only say where it goes. `decide` also takes the answer into memory and progress, and returns the job before
and after with what must be done; every guard's verdict, with what it saw and its limit, is put into words when read.

Run: python benchmarks/decide.py
"""

import os
import platform
import timeit
import tracemalloc
from collections.abc import Callable

import contenders
import transitions
from contenders import Cell

from fsm.decision import Decision
from fsm.facts import Asked
from fsm.machine import decide
from fsm.progress import absorb
from fsm.states import Asker, Event
from fsm.testing import NOW, Observer, make_evidence, make_job

ABSORB, ALL_BUT = "  of which absorb", "  all but that"  # the others take nothing in
BATCH, REPEAT = 200, 200  # the quickest batch counts: the others were disturbed
JOBS = 1000
MICROSECONDS = 1e6


def cells() -> list[Cell]:
    """Moves and stays, with and without an answer, without guards and with three candidates."""
    copying = Observer().hear(make_job(heard=0), "running", percent=50)[-1].after
    poll = Asked(Asker.POLL)
    running = make_evidence("running", percent=51, job=copying)
    completed = make_evidence("completed", percent=100, job=copying)
    absent = make_evidence("not_found")
    return [
        Cell("move: started", Event.START, make_job("ready_for_sync"), None, Asked(), NOW),
        Cell("move: VMA says completed", Event.VMA_COMPLETED, copying, completed, poll, NOW),
        Cell("stay: VMA says running", Event.VMA_RUNNING, copying, running, poll, NOW),
        Cell("stay: VMA does not know it", Event.VMA_NOT_FOUND, copying, absent, poll, NOW),
    ]


def ours(cell: Cell) -> Callable[[], Decision]:
    """The whole decision."""
    _, event, job, evidence, asked, now = cell
    return lambda: decide(job, event, evidence, now, asked=asked)


def reading(cell: Cell) -> Callable[[], object]:
    """The whole decision, and every guard's verdict in words."""
    decision = ours(cell)
    return lambda: decision().verdicts


def absorbing(cell: Cell) -> Callable[[], object]:
    """The part of it that takes the answer in."""
    job, evidence = cell.job, cell.evidence
    return (lambda: None) if evidence is None else (lambda: absorb(job, evidence))


OTHERS: dict[str, Callable[[Cell], contenders.Fire]] = {
    "dict table": contenders.dict_table,
    "bare transitions": contenders.bare_transitions,
}
if contenders.STATEMACHINE is not None:
    OTHERS["python-statemachine"] = contenders.python_statemachine
ROWS: dict[str, Callable[[Cell], Callable[[], object]]] = {
    **OTHERS,
    "decide": ours,
    ABSORB: absorbing,
    "  and verdicts read": reading,
}


def require_agreement() -> None:
    """Times of contenders that decide differently could not be compared."""
    for name, contender in OTHERS.items():
        for cell in cells():
            there, here = contender(cell)(), ours(cell)().after.state
            if there != here:
                raise SystemExit(f"{name} leads to {there} where decide leads to {here}: {cell.says}")


def measure() -> dict[str, list[float]]:
    """Microseconds by contender and cell."""
    jobs = {name: [contender(cell) for cell in cells()] for name, contender in ROWS.items()}
    return {name: [_best(fire) for fire in fires] for name, fires in jobs.items()}


def _best(fire: Callable[[], object]) -> float:
    return min(timeit.repeat(fire, number=BATCH, repeat=REPEAT)) / BATCH * MICROSECONDS


def memory() -> dict[str, float]:
    """Bytes that stay per job after one decision each, the job itself not counted."""
    makers: dict[str, Callable[[Cell], object]] = {
        "decide": lambda cell: ours(cell)() and None,
        "bare transitions": _model,
    }
    if contenders.STATEMACHINE is not None:
        makers["python-statemachine"] = contenders.STATEMACHINE
    return {name: _kept(maker) for name, maker in makers.items()}


def _model(cell: Cell) -> object:
    job = contenders.Plain(cell)
    contenders.TRANSITIONS.add_model(job, initial=cell.job.state.value)
    return job


def _kept(maker: Callable[[Cell], object]) -> float:
    cell = cells()[2]
    maker(cell)  # what is made once is not per job
    tracemalloc.start()
    kept = [None] * JOBS
    before = tracemalloc.get_traced_memory()[0]
    for n in range(JOBS):
        kept[n] = maker(cell)  # type: ignore[call-overload]
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return max(grown, 0) / JOBS


def main() -> None:
    """Measure and print."""
    require_agreement()
    load = os.getloadavg()[0]
    versions = f"Python {platform.python_version()}, transitions {transitions.__version__}"
    print(f"{versions}, {os.cpu_count()} CPUs, load {load:.1f}")
    print(f"µs per decision, best of {REPEAT} batches of {BATCH}; in brackets: times bare transitions\n")
    found, names = measure(), [cell.says for cell in cells()]
    found[ALL_BUT] = [whole - part for whole, part in zip(found["decide"], found[ABSORB], strict=True)]
    print(" " * 20 + "".join(f"{name:>28}" for name in names))
    for name, times in found.items():
        ratios = zip(times, found["bare transitions"], strict=True)
        print(f"{name:20}" + "".join(f"{f'{t:.1f} ({t / base:.1f})':>28}" for t, base in ratios))
    if contenders.STATEMACHINE is None:
        print("python-statemachine is not installed: left out")
    print("\nbytes kept per job: " + ", ".join(f"{name} {size:.0f}" for name, size in memory().items()))


if __name__ == "__main__":
    main()
