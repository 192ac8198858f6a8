"""How patient a client is, and how much it takes."""

from dataclasses import dataclass

from vma.in_flight import MOST, START


@dataclass(frozen=True, slots=True)
class VmaLimits:
    """How patient a client is. Seconds; `max_body` in bytes; requests at once grow from
    `in_flight` to `most_in_flight` while that does not slow the appliance.
    """

    connect: float = 2.0
    read: float = 4.0
    total: float = 6.0
    max_body: int = 2**20
    in_flight: int = START
    most_in_flight: int = MOST
