"""What is asked about one job."""

from datetime import datetime
from typing import Self

from msgspec import Struct, field

from fsm.facts import Disk, JobFacts
from fsm.memory import Memory


class Question(Struct, frozen=True, gc=False):
    """A job as far as asking about it goes. `created_at` aware UTC."""

    job_id: str
    created_at: datetime
    disks: tuple[Disk, ...] = ()
    memory: Memory = field(default_factory=Memory)
    own_id_only: bool = False  # a newer job of the VM uses the same exports
    setup: bool = False  # the copy was not started yet: what the exports say now is the baseline
    appliance: str = "default"

    @classmethod
    def of(cls, facts: JobFacts) -> Self:
        """The question about a stored job. Without disks, or with its VM taken, only its own id is asked."""
        return cls(
            facts.job_id,
            facts.created_at,
            facts.disks,
            facts.memory,
            own_id_only=facts.vm_taken or not facts.disks,
            setup=facts.in_setup,
            appliance=facts.appliance,
        )
