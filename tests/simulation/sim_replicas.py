"""Stands in for `db.replicas`: the locks of a database server, for several simulated processes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from virtual_loop import Time

from db.errors import LostSessionError
from db.replicas import SILENCE, Seen
from db.roster import GUESTS, POLLERS


@dataclass(slots=True)
class Session:
    """One connection, with its locks. The server drops one that is silent."""

    spoke: float
    slot: int
    shares: set[int] = field(default_factory=set)


@dataclass(slots=True)
class LockServer:
    """Whose locks are held."""

    time: Time
    sessions: dict[str, Session] = field(default_factory=dict)

    def expire(self) -> None:
        """Sessions that were silent for too long are over."""
        now = self.time.seconds
        for name in [name for name, one in self.sessions.items() if now - one.spoke > SILENCE]:
            del self.sessions[name]

    def drop(self, name: str) -> None:
        """Its connection is closed."""
        self.sessions.pop(name, None)


class SimReplica:
    """As much of `db.replicas.Replica` as `SharedOwnership` uses."""

    def __init__(self, server: LockServer, name: str, *, polls: bool) -> None:
        self._server, self._name, self.polls = server, name, polls
        self.slot: int | None = None
        self.take()

    def take(self) -> None:
        self._server.expire()
        self._server.drop(self._name)
        used = {one.slot for one in self._server.sessions.values()}
        self.slot = min(set(POLLERS if self.polls else GUESTS) - used)
        self._server.sessions[self._name] = Session(self._server.time.seconds, self.slot)

    def _speak(self) -> Session:
        self._server.expire()
        mine = self._server.sessions.get(self._name)
        if mine is None:
            raise LostSessionError("the simulated server")
        mine.spoke = self._server.time.seconds
        return mine

    def look(self) -> Seen:
        mine = self._speak()
        everyone = self._server.sessions
        others = frozenset(s for name, one in everyone.items() if name != self._name for s in one.shares)
        slots = frozenset(one.slot for one in everyone.values()) & frozenset(POLLERS)
        return Seen(slots, frozenset(mine.shares), others)

    def take_shares(self, wanted: Iterable[int]) -> frozenset[int]:
        mine = self._speak()
        held = {share for one in self._server.sessions.values() for share in one.shares}
        taken = frozenset(wanted) - held
        mine.shares |= taken
        return taken

    def give_shares(self, given: Iterable[int]) -> None:
        self._speak().shares -= set(given)

    def sign(self, now: datetime, shares: int = 0) -> None:
        pass

    def living(self) -> set[str]:
        self._server.expire()
        return {*self._server.sessions, self._name}

    def release(self) -> None:
        self.slot = None
        self._server.drop(self._name)
