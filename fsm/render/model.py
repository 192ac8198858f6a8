"""What a diagram shows, before anybody draws it: plain values between the specification and the renderers.

A view makes a `Diagram` of edges; a renderer makes text of a `Diagram` and knows nothing of the machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What kind of place a node is."""

    BIRTH = "birth"  # the dot from which a job is created
    SETUP = "setup"
    ACTIVE = "active"
    ENDED = "ended"


class Tone(StrEnum):
    """How sure an arrow is of itself."""

    PLAIN = "plain"  # a move between states of a living job
    CONFIRMED = "confirmed"  # an end that somebody knows of
    INFERRED = "inferred"  # an end that a rule concluded from silence
    MANUAL = "manual"  # a person's decision
    REVIVED = "revived"  # out of an end again: evidence, or a person, overturned it
    REFUSED = "refused"  # an attempt that moved nothing


@dataclass(frozen=True, slots=True)
class Caption:
    """What one edge says on its arrow. `guards` are short texts with their limits, `effects` what follows."""

    event: str
    edge: str  # its name in the specification
    guards: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    outcome: str = ""  # of an event at which a job stays: stays or ignored


@dataclass(frozen=True, slots=True)
class Node:
    """A state. `lines` stand under its name (jobs, dwell); `inner` are the events at which a job stays."""

    id: str
    label: str
    role: Role
    lines: tuple[str, ...] = ()
    inner: tuple[Caption, ...] = ()
    lit: bool = False  # the state in which the job is now
    heat: float | None = None  # 0 to 1, for a heat map


@dataclass(frozen=True, slots=True)
class Group:
    """A box around nodes; groups nest (active holds setup). An arrow from a group leaves from any of its members."""

    id: str
    label: str
    members: tuple[str, ...]  # ids of nodes and of groups


@dataclass(frozen=True, slots=True)
class Arrow:
    """From a node or group to a node; edges of one tone share an arrow. `note` is said below the captions."""

    source: str
    target: str
    tone: Tone
    captions: tuple[Caption, ...]
    number: int | None = None  # which step of a job's path this is, from 1
    note: str | None = None
    heat: float | None = None  # 0 to 1, for a heat map


@dataclass(frozen=True, slots=True)
class Diagram:
    """Nodes in the order of a job's life, and arrows. `description` says in words what the picture shows."""

    name: str
    title: str
    description: str
    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]
    groups: tuple[Group, ...] = ()  # inner ones before those that hold them
    brief: bool = False  # so many arrows that text on them is best kept to the events

    @property
    def edges(self) -> frozenset[str]:
        """The names of the specification's edges that are shown."""
        return frozenset(caption.edge for caption in self._captions())

    def _captions(self) -> Iterator[Caption]:
        for node in self.nodes:
            yield from node.inner
        for arrow in self.arrows:
            yield from arrow.captions
