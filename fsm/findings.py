"""What can be wrong with a specification, as values."""

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """The rules that a specification is held to; each says what it finds."""

    NAMES = "names"  # a name that nothing goes by, or that means two things
    WHY = "why"  # an edge that does not say why it exists
    SHAPE = "shape"  # target, kind, ending, error text and progress that do not go together
    POLLING = "polling"  # an edge after which a job is polled that must not be, or the other way round
    CONTEXT = "context"  # an end that does not give its VM back, a life that does not take it, or takes another's
    UNREACHABLE = "unreachable"  # a state no job ever comes to, an event without an edge, an edge never taken
    TRAP = "trap"  # a state that a job never comes out of
    SILENCE = "silence"  # an answer that may come for ever without anything happening
    OVERLAP = "overlap"  # a situation in which two edges pass
    GAP = "gap"  # an answer of the VMA that no edge takes
    CONFIRMED = "confirmed"  # a confirmed end that can be left, or a manual one by anybody but an operator
    WITNESS = "witness"  # a guard that does not show when it is true, when false, and where its limit is


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: the rule, where, and what."""

    rule: Rule
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.text}"
