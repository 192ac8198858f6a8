"""The appliance's progress map: in memory, forgotten by a restart, never tidied up."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any

from vma.simulator.entries import Entry
from vma.simulator.envelope import envelope, filled
from vma.simulator.pages import encode, page
from vma.simulator.wire import ProgressUpdate

Shape = Callable[[str, Entry, datetime], dict[str, Any]]


class ProgressMap:
    """Key → entry. `now` gives the appliance's own time, aware, in its own zone.

    `shape` None: the current generation's envelope. `look_first(key)` is called before anything is looked at or
    changed from outside (None: everything), so that copies can first post what they would have posted by now.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        shape: Shape | None = None,
        look_first: Callable[[str | None], None] = lambda _key: None,
    ) -> None:
        self._now = now
        self._shape = shape
        self._look_first = look_first
        self._entries: dict[str, Entry] = {}
        self._raw: dict[str, dict[str, Any]] = {}

    def update(self, key: str, update: ProgressUpdate) -> bool:
        """Take one post; true if the key was unknown and has been made for it."""
        self._look_first(key)
        return self.take(key, update, self._now())

    def take(self, key: str, update: ProgressUpdate, at: datetime) -> bool:
        """As `update`, for what was posted at the instant `at`."""
        if self._raw:
            self._raw.pop(key, None)
        entry = self._entries.get(key)
        if created := entry is None:
            self._entries[key] = entry = Entry(at)
        entry.absorb(update)
        entry.updated = at
        return created

    def knows(self, key: str) -> bool:
        """True if there is an entry under the key."""
        return key in self._entries

    def get(self, key: str) -> dict[str, Any] | None:
        """The body as of now, or None for an unknown key."""
        self._look_first(key)
        return self._said(key, self._now())

    def body(self, key: str, now: datetime) -> bytes | None:
        """What `get` gives as JSON and a newline; quick if nothing was posted since somebody asked."""
        self._look_first(key)
        entry = self._entries.get(key)
        if entry is not None and self._shape is None and not self._raw:
            entry.page = entry.page or page(partial(filled, key, entry), entry.started)
            if entry.page is not None:
                return entry.page.at(now)
        body = self._said(key, now)
        return None if body is None else encode(body)

    def _said(self, key: str, now: datetime) -> dict[str, Any] | None:
        if key in self._raw:
            return self._raw[key]
        entry = self._entries.get(key)
        return None if entry is None else (self._shape or envelope)(key, entry, now)

    def put(self, key: str, updates: Iterable[ProgressUpdate], start_time: datetime | None, *, fresh: bool) -> None:
        """Post `updates` in turn; `fresh` drops what was there, `start_time` backdates the entry."""
        if fresh:
            self.forget([key])
        for update in updates:
            self.update(key, update)
        if start_time is not None and key in self._entries:
            self._entries[key].started = start_time.astimezone(self._now().tzinfo)
            self._entries[key].page = None

    def put_raw(self, key: str, body: dict[str, Any]) -> None:
        """Answer `body` word for word (another appliance's dialect) until the next post under `key`."""
        self._look_first(key)
        self._raw[key] = body

    def forget(self, keys: Iterable[str] | None) -> None:
        """Lose `keys`, or everything (None), as a restarted appliance does."""
        self._look_first(None)
        for key in [*self._entries, *self._raw] if keys is None else keys:
            self._entries.pop(key, None)
            self._raw.pop(key, None)

    def keys(self) -> list[str]:
        self._look_first(None)
        return sorted({*self._entries, *self._raw})
