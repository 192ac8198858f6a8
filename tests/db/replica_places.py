"""Replicas in their places, for tests."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from db import roster
from db.engine import make_engine, read
from db.replicas import Replica
from db.roster import Server

NOW = datetime(2026, 11, 26, 3, 12, tzinfo=UTC)
Join = Callable[..., Replica]


class Places:
    """Makes replicas, each with an engine of its own, in their places and signed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: list[tuple[Replica, Engine]] = []

    def join(self, name: str, **more: Any) -> Replica:
        """A replica in its place."""
        engine = make_engine(self._url)
        replica = Replica(engine, name, **more)
        self._made.append((replica, engine))
        replica.take()
        replica.sign(NOW)
        return replica

    def leave(self) -> None:
        """All that joined."""
        for replica, engine in self._made:
            replica.release()
            engine.dispose()


def servers(engine: Engine) -> list[Server]:
    """Who serves the database."""
    with read(engine) as connection:
        return roster.servers(connection)
