"""Which fault is on, and for whom. What a fault answers is in `fault_answers`."""

from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

FaultMode = Literal[
    "hang",  # accepted, never answered
    "refuse",  # the data port is closed
    "reset",  # accepted, then closed without a byte
    "cut",  # closed in the middle of the body
    "slow",  # the true answer, one byte per second
    "not_found_text_200",
    "not_found_json_200",
    "garbage",
    "empty",
    "null",
    "truncated",  # half an envelope, framed as if whole
    "html_200",
    "html_404",
    "wrong_url",  # 404 page not found
    "401",
    "429",
    "500",
    "502",
    "503",
    "504",
    "redirect",
    "huge",
    "wrong_job",
    "no_keys",
    "percent_string",
    "unknown_word",
]
MODES: tuple[str, ...] = get_args(FaultMode)


class Fault(BaseModel):
    """A fault on the data port. `keys` limits it to these progress keys, `times` to so many requests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: FaultMode
    keys: list[str] | None = None
    times: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _a_closed_port_sees_no_requests(self) -> "Fault":
        if self.mode == "refuse" and (self.keys is not None or self.times is not None):
            raise ValueError("refuse closes the port for everybody: it takes neither keys nor times")
        return self


@dataclass(slots=True, eq=False)
class Active:
    """A fault that is on. `left`: for so many requests yet."""

    fault: Fault
    left: int | None


class FaultSwitch:
    """The faults that are on; of those that are for a request the youngest strikes.

    One may be set by hand, in place of the one set before; a scenario adds and removes its own.
    One whose `times` are used up goes off by itself.
    """

    def __init__(self) -> None:
        self._active: list[Active] = []
        self._by_hand: Active | None = None

    def set(self, fault: Fault | None) -> None:
        if self._by_hand is not None:
            self.remove(self._by_hand)
        self._by_hand = self.add(fault) if fault else None

    def add(self, fault: Fault) -> Active:
        """Switch one on; what comes back switches it off."""
        active = Active(fault, fault.times)
        self._active.append(active)
        return active

    def remove(self, active: Active) -> None:
        """Switch it off, if it is not off by itself already."""
        if active in self._active:
            self._active.remove(active)
        if active is self._by_hand:
            self._by_hand = None

    @property
    def quiet(self) -> bool:
        """True if none is on."""
        return not self._active

    @property
    def current(self) -> Fault | None:
        """The youngest."""
        return self._active[-1].fault if self._active else None

    @property
    def refusing(self) -> bool:
        """True if one of them closes the port."""
        return any(active.fault.mode == "refuse" for active in self._active)

    def strike(self, key: str | None) -> FaultMode | None:
        """The fault for one request, which counts against its `times`; `key` None: not about progress."""
        for active in reversed(self._active):
            if active.fault.keys is None or key in active.fault.keys:
                self._count(active)
                return active.fault.mode
        return None

    def _count(self, active: Active) -> None:
        if active.left is not None:
            active.left -= 1
            if active.left <= 0:
                self.remove(active)
