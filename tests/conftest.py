"""One suite, every database: `engine` is an empty database, `migrated` one at the head of the migrations."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from coordination_servers import no_redis
from hypothesis import HealthCheck, settings
from pictures import no_programs
from servers import copy, empty, kinds, missing
from sqlalchemy import Engine

from db.engine import make_engine
from migrations import runner

# A machine that stands still for a fifth of a second is no failure; in CI hypothesis sees to that itself.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
MISSING = missing()
NO_PROGRAMS = no_programs()
NO_REDIS = no_redis()


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many stories of tests/simulation are played."""
    group = parser.getgroup("simulation")
    group.addoption("--seeds", type=int, default=1000, metavar="COUNT", help="simulations to play (default: 1000)")
    group.addoption("--seed", type=int, default=None, metavar="N", help="the one simulation to play")


def pytest_configure() -> None:
    """A pipeline that quietly tests one database of three would be worse than none."""
    # With rich installed a logged exception is drawn with all locals: seconds each.
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])
    if (left_out := _left_out()) and os.environ.get("CI") == "true":
        raise pytest.UsageError(f"CI must test every database, coordination server and picture; {'; '.join(left_out)}")


def pytest_report_header() -> list[str]:
    """What is not tested, before the run."""
    return _left_out() or ["databases: all; coordination servers: Redis; pictures: drawn by Graphviz and Mermaid"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """And after it."""
    for line in _left_out():
        terminalreporter.write_line(line, yellow=True)


def _left_out() -> list[str]:
    kinds_of = {"databases": MISSING, "coordination servers": NO_REDIS, "pictures": NO_PROGRAMS}
    return [
        f"{what} NOT tested: " + "; ".join(f"{name} ({problem})" for name, problem in problems.items())
        for what, problems in kinds_of.items()
        if problems
    ]


@pytest.fixture(scope="session", params=kinds())
def kind(request: pytest.FixtureRequest) -> str:
    """A kind of database that this machine has."""
    return str(request.param)


@pytest.fixture(scope="session")
def template(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database at the head of the migrations, to be copied only."""
    with empty(kind, tmp_path_factory.mktemp("template")) as url:
        engine = make_engine(url)
        runner.upgrade(engine)
        engine.dispose()
        yield url


@pytest.fixture
def database_url(kind: str, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    with empty(kind, tmp_path) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An empty database."""
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def migrated_url(kind: str, template: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with the schema that this code wants."""
    with copy(kind, template, tmp_path) as url:
        yield url


@pytest.fixture
def migrated(migrated_url: str) -> Iterator[Engine]:
    """A database with the schema that this code wants."""
    engine = make_engine(migrated_url)
    yield engine
    engine.dispose()
