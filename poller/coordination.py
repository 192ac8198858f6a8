"""The group of the replicas at a coordination server (Redis, etcd, ZooKeeper), by tooz's group membership.

A member that is silent for `EXPIRY` seconds is none any more. tooz can try a server that is away for a minute, so each
call has a thread of its own that nobody waits for longer than `PATIENCE`; there is one call at a time.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from poller.coordination_url import PACKAGES, redacted, refusal
from poller.ownership import CoordinationAwayError

if TYPE_CHECKING:
    from tooz.coordination import CoordinationDriver

T = TypeVar("T")
Members = Mapping[str, Mapping[str, Any]]  # what each says of itself, by its id
EXPIRY: Final = 6  # seconds
PATIENCE: Final = 2.0  # seconds for a call
FAREWELL: Final = 1.0  # seconds for leaving: a service has 8 to stop in
BUSY: Final = 8.0  # seconds for which an event loop may be too busy to look before it counts as dead


class CoordinationUrlError(ValueError):
    """A coordination server that cannot be used as configured; the text says what to change."""


class Group:
    """A replica's place among the members. Safe from any thread."""

    def __init__(self, url: str, member: str, says: Mapping[str, Any], *, expiry: int = EXPIRY) -> None:
        """CoordinationUrlError for a server that cannot tell who lives, or whose driver is not installed."""
        if (why := refusal(url)) is not None:
            raise CoordinationUrlError(f"{redacted(url)}: {why}")
        self._url, self._member, self._says, self._expiry = url, member, dict(says), expiry
        self._coordinator: CoordinationDriver | None = None
        self._calls = _Calls(redacted(url))
        self._looked = time.monotonic()
        self._fresh: CoordinationDriver | None = self._make()  # now: a missing driver is told before anything starts

    def meet(self, name: str) -> Members:
        """Show that we live; all members of the group, ourselves among them. CoordinationAwayError."""
        return self._calls.run(lambda: self._meet(name.encode()), PATIENCE)

    def peek(self, name: str) -> Members:
        """All members, for one who does not become one. CoordinationAwayError."""

        def work() -> Members:
            found = self._members(self._started(), name.encode())
            self._stop()
            return found

        return self._calls.run(work, PATIENCE)

    def leave(self) -> None:
        """The others need not wait for us to be missed. A server that is away will miss us."""
        with suppress(CoordinationAwayError):
            self._calls.run(self._stop, FAREWELL)

    # --- within a call ---------------------------------------------------------------------------

    def _meet(self, name: bytes) -> Members:
        self._looked = time.monotonic()
        coordinator = self._started()
        coordinator.heartbeat()
        found = self._members(coordinator, name)
        if self._member not in found:  # new, or taken for dead while we were frozen or cut off
            self._join(coordinator, name)
            found = self._members(coordinator, name)
        return found

    def _members(self, coordinator: "CoordinationDriver", name: bytes) -> Members:
        from tooz.coordination import GroupNotCreated  # noqa: PLC0415 # an extra

        try:
            found = coordinator.get_members_with_capabilities(name).get()
        except GroupNotCreated:  # not yet, or the server has lost its memory
            return {}
        return {member.decode(): says or {} for member, says in found.items()}

    def _join(self, coordinator: "CoordinationDriver", name: bytes) -> None:
        from tooz.coordination import GroupAlreadyExist, MemberAlreadyExist  # noqa: PLC0415 # an extra

        with suppress(GroupAlreadyExist):  # not tooz's join_group_create, which waits a second between the two
            coordinator.create_group(name).get()
        with suppress(MemberAlreadyExist):
            coordinator.join_group(name, self._says).get()

    def _started(self) -> "CoordinationDriver":
        if self._coordinator is None:
            coordinator, self._fresh = self._fresh or self._make(), None
            coordinator.start(start_heart=True)
            self._coordinator = coordinator
        return self._coordinator

    def _stop(self) -> None:
        coordinator, self._coordinator = self._coordinator, None
        if coordinator is not None:
            coordinator.stop()

    # --- the driver ------------------------------------------------------------------------------

    def _make(self) -> "CoordinationDriver":
        try:
            from tooz.coordination import Heart, get_coordinator  # noqa: PLC0415 # an extra

            coordinator = get_coordinator(
                self._url,
                self._member.encode(),
                timeout=self._expiry,
                lock_timeout=self._expiry,
                membership_timeout=self._expiry,
                executor="synchronous",  # the thread of the call; one of tooz's own would be waited for at the end
            )
        except ImportError as error:
            raise self._not_installed(error) from error
        except RuntimeError as error:  # stevedore's, for an entry point that cannot be loaded
            raise self._not_installed(error) from error
        coordinator.heart = Heart(_Beats(coordinator, self))  # type: ignore[arg-type] # all it wants is `heartbeat`
        return coordinator

    def _not_installed(self, error: Exception) -> CoordinationUrlError:
        package = PACKAGES[self._url.partition("://")[0]]
        return CoordinationUrlError(
            f"{redacted(self._url)}: what speaks with it is not installed ({error}): pip install '{package}'"
        )

    @property
    def alive(self) -> bool:
        """False once nobody has looked for so long that others should have our shares."""
        return time.monotonic() - self._looked < BUSY

    @property
    def expiry(self) -> int:
        """Seconds of silence after which the server takes us for dead."""
        return self._expiry


class _Beats:
    """What tooz's heart calls, in its thread, between our own looks: an event loop may be busy, but not stuck.

    It keeps errors to itself: the heart would try again for ever, and not stop any more.
    """

    def __init__(self, coordinator: "CoordinationDriver", group: Group) -> None:
        self._coordinator, self._group = coordinator, group

    def heartbeat(self) -> float:
        """Beat; seconds until we would be taken for dead."""
        if self._group.alive:
            with suppress(Exception):
                self._coordinator.heartbeat()
        return self._group.expiry


class _Calls:
    """One call at a time, each in a thread that nobody waits for when its time is up."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._turn = threading.Lock()
        self._began = 0.0  # of the call under way
        self._failed = ""  # why the last call did, that ended at all

    def run(self, work: Callable[[], T], patience: float) -> T:
        """What the work gives back. CoordinationAwayError after so many seconds, at once if a call is stuck already."""
        if not self._turn.acquire(timeout=max(self._began + patience - time.monotonic(), 0.0)):
            raise self._away(f"no answer for {time.monotonic() - self._began:.0f} s")
        self._began = time.monotonic()
        answer: Future[T] = Future()
        threading.Thread(target=self._work, args=(work, answer), name="coordination", daemon=True).start()
        try:
            return answer.result(patience)
        except TimeoutError:
            raise self._away(f"no answer within {patience:g} s") from None
        except Exception as error:  # drivers raise what their clients do
            raise self._away(self._failed) from error

    def _away(self, why: str) -> CoordinationAwayError:
        return CoordinationAwayError(self._where, why, self._failed)

    def _work(self, work: Callable[[], T], answer: Future[T]) -> None:
        try:
            result = work()
        except BaseException as error:
            self._failed = _why(error)
            answer.set_exception(error)
        else:
            self._failed = ""
            answer.set_result(result)
        finally:
            self._turn.release()


def _why(error: BaseException) -> str:
    """What was said first, from the driver's error down to its client's; a name if nothing was."""
    while not str(error) and error.__cause__ is not None:
        error = error.__cause__
    return str(error)[:200] or type(error).__name__
