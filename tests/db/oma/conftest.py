"""An OMA's database, and the same adopted: made once of each kind, and copied for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from oma_world import NOW, ZONE, make_oma
from servers import copy, empty
from sqlalchemy import Engine

from db.adopted import learn
from db.engine import make_engine
from db.store import Store
from fsm.policy import DEFAULT_POLICY
from migrations.adopt import adopt


@pytest.fixture(scope="session")
def oma_template(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an OMA's database, to be copied only."""
    with empty(kind, tmp_path_factory.mktemp("oma")) as url:
        engine = make_engine(url)
        make_oma(engine)
        engine.dispose()
        yield url


@pytest.fixture(scope="session")
def adopted_template(kind: str, oma_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an adopted database, to be copied only."""
    with copy(kind, oma_template, tmp_path_factory.mktemp("adopted")) as url:
        engine = make_engine(url)
        adopt(engine, ZONE, NOW)
        engine.dispose()
        yield url


@pytest.fixture
def oma(kind: str, oma_template: str, tmp_path: Path) -> Iterator[Engine]:
    """An OMA's database that nobody has looked at yet."""
    with copy(kind, oma_template, tmp_path) as url:
        engine = make_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def store(kind: str, adopted_template: str, tmp_path: Path) -> Iterator[Store]:
    """The same, adopted; some time later."""
    with copy(kind, adopted_template, tmp_path) as url:
        engine = make_engine(url)
        learn(engine)
        yield Store(engine, DEFAULT_POLICY)
        engine.dispose()
