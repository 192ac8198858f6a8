"""The lines of a poll log."""

import msgspec


class Record(msgspec.Struct, omit_defaults=True, kw_only=True, tag_field="is", tag=str.lower):
    """One line. `run`: the process run that wrote it; `up`: its seconds of uptime then."""

    run: str
    up: float


class Began(Record):
    """A process run began. `at`: the wall clock; `monotonic`: the clock that all runs of one `boot` share, seconds.

    `polls`: False for a replica that only answers the API.
    """

    at: str
    monotonic: float
    boot: str
    polls: bool = True


class Ended(Record):
    """It stopped in order. A run that was killed just says nothing more."""


class Lives(Record):
    """A replica looked after its shares: one that is heard of no more is dead from then on."""


class Must(Record):
    """By the database, read at `read`, these jobs must be polled, by whomever."""

    read: float
    jobs: list[str]


class Put(Record):
    """A job came into the schedule of this run, to be asked about in `delay` seconds; a `guest` as in `Asks`."""

    job: str
    delay: float = 0.0
    guest: bool = False


class Left(Record):
    """A job left the schedule of this run. `lost`: because it is no longer ours, so another run is to ask about it."""

    job: str
    lost: bool = False


class Asks(Record):
    """A question. `polls`: answers applied by then; `guest`: another replica's job to which something happened here."""

    job: str
    version: int
    polls: int
    by: str = "poll"
    guest: bool = False


class Settled(Record):
    """What became of a question: `applied`, `dropped` (the job moved, or another replica was quicker), `away` (the
    database took nothing), `broken` (asking itself failed).

    `heard`: uptime at which it was answered. `version`, `polls`: what they were when it was asked; `was`, `had`: what
    they were when it was applied. `pause`: seconds until the next question; None: none is to come. `state`: after it.
    """

    job: str
    became: str
    version: int
    polls: int | None = None  # of a question that was put beside the schedule it is not known
    heard: float | None = None
    verdict: str | None = None
    was: int | None = None
    had: int | None = None
    state: str | None = None
    over: bool = False
    pause: float | None = None


class Waits(Record):
    """These jobs were due and could not be asked about: the database was away, or their appliance is paused."""

    jobs: list[str]
    why: str
    pause: float


Line = Began | Ended | Lives | Must | Put | Left | Asks | Settled | Waits
