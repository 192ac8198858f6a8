"""What tests of commands stand on."""

from pathlib import Path

import pytest


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database that the settings name, in a folder without a settings file."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    monkeypatch.setenv("OMA_FSM_DATABASE_URL", url)
    return url
