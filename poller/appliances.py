"""The fleet follows the database, where `oma-fsm appliances` writes; what the fleet learns is kept there."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection, Engine

from db import appliances as stored
from db.appliances import Appliance
from db.engine import read
from db.transactions import transact
from fsm.facts import DEFAULT_APPLIANCE
from vma.access import Access
from vma.fleet import Fleet, Member
from vma.wire_models import Generation

log = structlog.get_logger(__name__)
LOOK_EVERY: Final = 5.0  # seconds
KEEP_EVERY: Final = 12  # looks


class Appliances:
    """Which appliances there are. The default one is that of the settings, whatever the database says of it."""

    def __init__(self, engine: Engine, fleet: Fleet, default: Access, hosts: Sequence[str] = ()) -> None:
        """AccessError if the default appliance cannot be asked as configured."""
        default.check(DEFAULT_APPLIANCE, hosts)
        self._engine, self._fleet, self._default = engine, fleet, default
        self._turn = asyncio.Lock()

    async def look(self) -> None:
        """Take over what changed in the database."""
        async with self._turn:  # what was read later is set later
            self._fleet.set(await asyncio.to_thread(self._read))

    async def pause(self, name: str, *, paused: bool) -> int:
        """Ask nothing of an appliance, or ask again, from now on; how many jobs wait for it. NotFoundError."""
        now = self._now
        work = partial(stored.pause, name=name, now=now, paused=paused)
        waiting = await asyncio.to_thread(transact, self._engine, work)
        await self.look()
        return waiting

    async def keep(self) -> None:
        """Keep what was learned for the next run. A database that is away costs the lesson, no more."""
        states = {state.name: state for state in self._fleet.states()}
        learned = [
            Appliance(m.name, m.access.url, in_flight=int(m.in_flight), generation=m.generation,
                      heard_at=states[m.name].heard_at)
            for m in self._fleet.learned()
        ]  # fmt: skip
        try:
            await asyncio.to_thread(transact, self._engine, lambda c: stored.learn(c, learned, self._now))
        except Exception as error:
            log.warning("what was learned of the appliances could not be kept", why=str(error)[:200])

    async def loop(self) -> None:
        """Look every five seconds, keep every minute, until cancelled."""
        looks = 0
        while True:
            await asyncio.sleep(LOOK_EVERY)
            looks += 1
            try:
                await self.look()
                if looks % KEEP_EVERY == 0:
                    await self.keep()
            except Exception as error:  # the appliances that are known are asked on
                log.warning("appliances could not be looked up; those known are asked on", why=str(error)[:200])

    @property
    def _now(self) -> datetime:
        return self._fleet.observer.now()

    def _read(self) -> list[Member]:
        with read(self._engine) as connection:
            found = stored.all_of(connection)
        known = next((a for a in found if a.name == DEFAULT_APPLIANCE), None)
        if known is None or known.url != self._default.url:
            transact(self._engine, self._note_default)
        others = [self._member(a) for a in found if a.name != DEFAULT_APPLIANCE]
        return [self._default_member(known), *others]

    def _note_default(self, connection: Connection) -> None:
        stored.note_default(connection, self._default.url, self._now)

    def _default_member(self, known: Appliance | None) -> Member:
        if known is None:
            return Member(DEFAULT_APPLIANCE, self._default)
        learned = known if known.url == self._default.url else replace(known, in_flight=0, generation=None)
        return replace(self._member(learned), access=self._default)

    def _member(self, one: Appliance) -> Member:
        access = Access(one.url, one.ca_file, one.token_file, one.cert_file, one.key_file)
        generation = Generation(one.generation) if one.generation in set(Generation) else None
        return Member(one.name, access, one.paused, one.in_flight, generation)
