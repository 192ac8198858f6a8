"""What outlives a killed simulator: its copies and plans, never its progress map."""

import os
from pathlib import Path

from pydantic import BaseModel, ValidationError

from vma.simulator.plans import Plan
from vma.simulator.records import CopyRecord


class Memory(BaseModel):
    """Copies and plans by job id."""

    copies: dict[str, CopyRecord] = {}
    plans: dict[str, Plan] = {}
    default_plan: Plan = Plan()


class UnreadableStateError(Exception):
    """The state file is not one this simulator wrote."""


class StateFile:
    """A JSON file, replaced as a whole at each change; without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def load(self) -> Memory | None:
        """What was saved last, or None. Raises UnreadableStateError."""
        if self._path is None or not self._path.exists():
            return None
        try:
            return Memory.model_validate_json(self._path.read_bytes())
        except ValidationError as error:
            raise UnreadableStateError(
                f"{self._path} is not a simulator state: delete it or name another file with --state"
            ) from error

    def save(self, memory: Memory) -> None:
        if self._path is not None:
            scratch = self._path.with_name(f"{self._path.name}.new")
            scratch.write_text(memory.model_dump_json(indent=1))
            os.replace(scratch, self._path)
