"""A migrated SQLite file for the stories that are played on the real store."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from real_store import RealStore
from sqlalchemy import event

from db.engine import make_engine
from fsm.policy import DEFAULT_POLICY
from migrations import runner

CHUNK = 25  # seeds per test


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The stories, some per test so that workers share them."""
    if "stories" in metafunc.fixturenames:
        one, count = metafunc.config.getoption("--seed"), metafunc.config.getoption("--seeds")
        whole = range(count) if one is None else range(one, one + 1)
        chunks = [whole[first : first + CHUNK] for first in range(0, len(whole), CHUNK)]
        metafunc.parametrize("stories", chunks, ids=[f"{some.start}-{some.stop - 1}" for some in chunks])


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied only."""
    path = tmp_path_factory.mktemp("simulation") / "blank.db"
    engine = make_engine(f"sqlite:///{path}")
    runner.upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture
def real_store(empty_file: Path, tmp_path: Path) -> Iterator[RealStore]:
    """The real store on an empty database."""
    engine = make_engine(f"sqlite:///{shutil.copy(empty_file, tmp_path / 'jobs.db')}")
    event.listen(engine, "connect", lambda c, _record: c.execute("PRAGMA synchronous = OFF"))
    yield RealStore(engine, DEFAULT_POLICY)
    engine.dispose()


@pytest.fixture(autouse=True)
def no_logs() -> Iterator[None]:
    """Thousands of simulated lives log nothing."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
