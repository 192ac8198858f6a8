"""While nobody can know who lives, no job may be silent: each replica asks about all, and gives back when it ends."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from model_vma import Clock
from structlog.testing import capture_logs

from poller.ownership import Change, CoordinationAwayError, Held
from poller.shares import ALL, SharedOwnership

HALF = Held(frozenset(range(32)), frozenset(range(32, 64)))
TRUST = 5.0


class OneMember:
    """A replica whose coordination server is away if the test says so."""

    trust = TRUST

    def __init__(self, *, polls: bool = True) -> None:
        self.polls = polls
        self.away: str | None = None
        self.while_looking: Callable[[], None] = lambda: None

    def hold(self) -> Held:
        self.while_looking()
        if self.away is not None:
            raise CoordinationAwayError("redis://host", "no answer", self.away)
        return HALF if self.polls else Held(others=ALL)

    def take(self) -> None:
        raise AssertionError("there is no session to begin again")

    def sign(self, now: datetime, shares: int = 0) -> None:
        pass

    def release(self) -> None:
        pass

    def living(self) -> tuple[str, ...]:
        return ()


class Story:
    """One replica, and its clock."""

    def __init__(self, *, polls: bool = True) -> None:
        self.clock, self.member = Clock(), OneMember(polls=polls)
        self.owner = SharedOwnership(self.member, self.clock.observer())

    def look(self, after: float = 1.0) -> Change:
        self.clock.advance(after)
        return asyncio.run(self.owner.look())

    def gone(self) -> None:
        """The server is away for so long that nothing is believed any more."""
        self.look(TRUST)
        self.look()

    def owned(self) -> set[bool]:
        """What it says of jobs of all shares."""
        return {self.owner.owns(f"job-{n}") for n in range(1000)}


@pytest.fixture
def replica() -> Story:
    """One that has half of the shares."""
    story = Story()
    assert story.look() == Change(gained=HALF.mine, held=32)
    return story


def test_what_was_ours_stays_ours_while_it_may_be_believed_and_then_everything_is(replica: Story) -> None:
    replica.member.away = ""
    for _ in range(4):
        assert replica.look() == Change(held=32)
    assert replica.owned() == {True, False}
    assert replica.look() == Change(lost=HALF.mine)
    assert replica.look() == Change(gained=ALL, held=64)
    assert replica.owned() == {True}


def test_it_asks_about_everything_without_a_gap_for_as_long_as_the_server_is_away(replica: Story) -> None:
    replica.member.away = ""
    replica.gone()
    replica.member.while_looking = lambda: replica.clock.advance(2)  # as long as a call may take
    for _ in range(10):
        assert replica.look() == Change(held=64)
        assert replica.owned() == {True}


def test_what_others_hold_is_given_back_when_the_server_answers(replica: Story) -> None:
    replica.member.away = ""
    replica.gone()
    replica.member.away = None
    assert replica.look() == Change(lost=HALF.others, held=32)
    assert replica.owned() == {True, False}


def test_one_that_begins_without_the_server_asks_about_everything() -> None:
    story = Story()
    story.member.away = ""
    story.look()
    assert story.look() == Change(gained=ALL, held=64)


def test_one_that_only_answers_the_api_asks_about_nothing_all_the_same() -> None:
    story = Story(polls=False)
    story.look()
    story.member.away = ""
    story.gone()
    assert story.look() == Change()
    assert story.owned() == {False}
    assert story.owner.elsewhere("job-1")


def test_one_that_was_frozen_while_it_looked_believes_nothing_until_it_has_looked_again(replica: Story) -> None:
    """The answer was late because of us: no reason to think that the server is away, and others have our shares."""
    replica.member.away = ""
    replica.member.while_looking = lambda: replica.clock.advance(60)
    with capture_logs() as logs:
        assert replica.look() == Change(lost=HALF.mine)
    assert (replica.owned(), logs) == ({False}, [])
    replica.member.away, replica.member.while_looking = "session expired", lambda: None
    assert replica.look() == Change()
    replica.member.away = None
    assert replica.look() == Change(gained=HALF.mine, held=32)


def test_it_says_once_that_the_server_is_away_again_when_it_learns_why_and_once_that_it_is_back(
    replica: Story,
) -> None:
    with capture_logs() as logs:
        for reason in ("", "", "", "invalid password", "invalid password"):
            replica.member.away = reason
            replica.look(TRUST)
        replica.member.away = None
        replica.look()
        replica.look()
    told = [(line["log_level"], line.get("why")) for line in logs]
    assert told == [
        ("error", "redis://host: no answer"),
        ("error", "redis://host: no answer; the last try ended with: invalid password"),
        ("info", None),
    ]


def test_a_look_waits_for_no_other_work_of_the_process() -> None:
    """Whoever looks too late has lost all his shares."""

    async def story() -> None:
        loop, go_on = asyncio.get_running_loop(), threading.Event()
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = loop.run_in_executor(None, go_on.wait, 30)
        replica = SharedOwnership(OneMember(), Clock().observer())
        try:
            async with asyncio.timeout(10):
                assert (await replica.look()).held == 32
                await replica.leave()
        finally:
            go_on.set()
        assert await busy

    asyncio.run(story())
