"""Databases full of jobs that replicate, and a VMA that copies them, for benchmarks of the whole service."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table, insert, update

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "db")]

from store_builders import Vm, rows  # noqa: E402
from unguarded import unguarded  # noqa: E402

from db.engine import make_engine, write  # noqa: E402
from db.store import Store  # noqa: E402
from db.tables import CONTEXTS, DISKS, JOBS, POLLING, VOLUMES  # noqa: E402
from fsm.policy import DEFAULT_POLICY  # noqa: E402
from fsm.states import Event  # noqa: E402
from migrations import runner  # noqa: E402
from vma.simulator.process import SimulatorProcess  # noqa: E402

SCENARIO: Final = """\
scenario: A benchmark
time: real
defaults: {{rate: 100 MiB/s, post_every: 2s, key: {key}}}
copies:
  - job: "job-{{n:5}}"
    vm: "vm-{{n:5}}"
    count: {count}
    start: -15m
    spread: 10m
    disks:
      - {{export: "migration-vol-{{n:5}}-0", size: {first} GiB}}
      - {{export: "migration-vol-{{n:5}}-1", size: 300 GiB}}
"""


@contextmanager
def simulated_vma(folder: Path, count: int, key: str, *, first: int = 1) -> Iterator[SimulatorProcess]:
    """A VMA that copies so many VMs. `key`: job_id or export, under which it knows them.

    The first of a VM's two disks has `first` GiB: with one it is copied when the benchmark begins.
    """
    file = folder / "scenario.yaml"
    file.write_text(SCENARIO.format(key=key, count=count, first=first))
    with SimulatorProcess(scenario=file) as vma:
        yield vma


def fill(url: str, count: int, key: str) -> None:
    """A database with so many jobs of two disks that replicate; with `job_id` it is remembered which key answers."""
    engine = make_engine(url)
    runner.upgrade(engine)
    now = datetime.now(UTC) - timedelta(minutes=16)
    vm = Vm(Store(engine, DEFAULT_POLICY), now=now).create(2, job_id="job-00000")
    for n in range(2):
        vm.volume(f"disk-{2000 + n}", f"00000-{n}")
    for event in (Event.ATTACH, Event.READY, Event.START):
        vm.fire(event)
    memory = {"answering_key": "job"} if key == "job_id" else {}
    templates: dict[Table, list[Mapping[str, Any]]] = {
        CONTEXTS: [{**vm.context, "current_job_id": None}],
        JOBS: [{**rows(vm.store, JOBS, id=vm.job_id)[0], "rule_memory": memory}],
        VOLUMES: rows(vm.store, VOLUMES),
        DISKS: vm.disks,
        POLLING: rows(vm.store, POLLING, job_id=vm.job_id),
    }
    serials = [f"{n:05d}" for n in range(1, count + 1)]
    with unguarded(engine), write(engine) as connection:
        for table, of_one in templates.items():
            if serials:
                connection.execute(insert(table), [_renamed(table, row, s) for s in serials for row in of_one])
        ours = CONTEXTS.c.context_id.like("ctx-_____")
        connection.execute(update(CONTEXTS).where(ours).values(current_job_id="job-" + _tail(CONTEXTS)))
        for table, column, value in (
            (POLLING, POLLING.c.job_id, "job-00000"), (CONTEXTS, CONTEXTS.c.vm_name, vm.name),
        ):  # fmt: skip
            connection.execute(table.delete().where(column == value))
    engine.dispose()


def _tail(contexts: Table) -> Any:
    from sqlalchemy import func  # noqa: PLC0415

    return func.substr(contexts.c.context_id, 5)


def _renamed(table: Table, row: Mapping[str, Any], serial: str) -> dict[str, Any]:
    """The same row of another job."""
    n = int(serial)
    new = {
        "context_id": f"ctx-{serial}", "vm_context_id": f"ctx-{serial}", "job_id": f"job-{serial}",
        "vm_name": f"vm-{serial}", "vmware_vm_id": f"vm-{serial}", "volume_id": None, "id": None,
        "ossea_volume_id": None,
    }  # fmt: skip
    if table is JOBS:
        new["id"] = f"job-{serial}"
    elif table is VOLUMES:
        part = int(str(row["volume_id"])[-1])
        new |= {"id": 2 * n + part + 10, "volume_id": f"{serial}-{part}"}
    elif table is DISKS:
        part = int(str(row["disk_id"])[-1])
        new |= {"id": 2 * n + part + 10, "ossea_volume_id": 2 * n + part + 10}
    return {name: new[name] if new.get(name) else value for name, value in row.items()}
