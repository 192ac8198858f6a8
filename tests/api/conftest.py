"""Every story gets a migrated SQLite file of its own."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from api_stage import run

from db.engine import make_engine
from migrations import runner


@pytest.fixture(scope="session")
def blank_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied only."""
    path = tmp_path_factory.mktemp("api") / "blank.db"
    engine = make_engine(f"sqlite:///{path}")
    runner.upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture
def url(blank_file: Path, tmp_path: Path) -> str:
    """The URL of a migrated database that nobody else uses."""
    return f"sqlite:///{shutil.copy(blank_file, tmp_path / 'jobs.db')}"


@pytest.fixture
def play(url: str) -> Callable[..., None]:
    """Plays a story on that database."""
    return partial(run, url)
