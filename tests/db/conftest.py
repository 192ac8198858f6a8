"""The store under test. Its tests share one database of each kind: every VM has names of its own."""

from collections.abc import Iterator

import pytest
from replica_places import Join, Places
from servers import copy
from sqlalchemy import Engine
from store_builders import Vm

from db.engine import make_engine
from db.store import Store
from fsm.policy import DEFAULT_POLICY


@pytest.fixture(scope="session")
def shared_engine(kind: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A database for many tests."""
    with copy(kind, template, tmp_path_factory.mktemp("shared")) as url:
        engine = make_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def store(shared_engine: Engine) -> Store:
    """A store beside other tests' jobs."""
    return Store(shared_engine, DEFAULT_POLICY)


@pytest.fixture
def vm(store: Store) -> Vm:
    """A VM that has no job yet."""
    return Vm(store)


@pytest.fixture
def own_store(migrated: Engine) -> Store:
    """A store with nobody else's jobs."""
    return Store(migrated, DEFAULT_POLICY)


@pytest.fixture
def join(migrated_url: str) -> Iterator[Join]:
    """Replicas that leave at the end."""
    places = Places(migrated_url)
    yield places.join
    places.leave()
