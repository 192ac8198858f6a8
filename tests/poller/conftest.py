"""A world of its own for every test, from one migrated file."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from world import World

from db.engine import make_engine
from migrations import runner


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied only."""
    path = tmp_path_factory.mktemp("poller") / "blank.db"
    engine = make_engine(f"sqlite:///{path}")
    runner.upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture
def url(blank: Path, tmp_path: Path) -> str:
    """The URL of a migrated database that nobody else uses."""
    return f"sqlite:///{shutil.copy(blank, tmp_path / 'jobs.db')}"


@pytest.fixture
def world(url: str) -> Iterator[World]:
    """A world at noon, with default rules."""
    world = World(url)
    yield world
    world.engine.dispose()
