"""The jobs of the demo, what befalls each while the OMA is dead, and where each must end."""

from collections.abc import Callable
from dataclasses import dataclass

from vma.simulator.control_client import Control
from vma.simulator.plans import Plan

GIB = 1 << 30
RATE = 256.0  # MiB/s, by the simulator's clock


def _nothing(_control: Control, _job_id: str) -> None:
    return None


def _finish(control: Control, job_id: str) -> None:
    control.finish(job_id)


def _fail(control: Control, job_id: str) -> None:
    control.fail(job_id, "nbd: disk read error")


def _lose(control: Control, job_id: str) -> None:
    control.kill(job_id)
    control.forget([job_id])


def _forget(control: Control, job_id: str) -> None:
    control.forget([job_id], copies_survive=True)


@dataclass(frozen=True, slots=True)
class Actor:
    """One VM: its disks in GiB, what happens to its copy meanwhile, and the end that it must come to."""

    name: str
    gib: tuple[float, ...]
    fate: str
    befalls: Callable[[Control, str], None]
    state: str
    ending: str
    reason: str | None = None
    started_before: bool = True  # False: the OMA dies while the job is in set-up

    @property
    def disk_ids(self) -> list[str]:
        """The disks as VMware names them."""
        return [f"disk-{2000 + n}" for n in range(len(self.gib))]

    @property
    def sizes(self) -> list[int]:
        """Bytes per disk."""
        return [int(g * GIB) for g in self.gib]

    @property
    def vm_path(self) -> str:
        """Where vCenter keeps the VM."""
        return f"/DC1/vm/{self.name}"

    @property
    def plan(self) -> Plan:
        """How its copy runs: short set-up, posts every half second."""
        return Plan(rate_mib_s=RATE, first_post_after_s=0.5, setup_s=0.8, gap_s=0.5, post_every_s=0.5)


CAST = (
    Actor("db-01", (0.8, 3.6, 0.8), "runs on", _nothing, "completed", "confirmed"),
    Actor("web-01", (6.0,), "finishes", _finish, "completed", "confirmed"),
    Actor("mail-01", (6.0,), "fails", _fail, "failed", "confirmed"),
    Actor("file-01", (4.0, 4.0), "is lost, and the VMA forgets it", _lose, "failed", "inferred", "job lost on VMA"),
    Actor("app-01", (5.2,), "runs on; the VMA forgets it", _forget, "completed", "confirmed"),
    Actor("dc-01", (1.0,), "waits in set-up", _nothing, "completed", "confirmed", started_before=False),
)
