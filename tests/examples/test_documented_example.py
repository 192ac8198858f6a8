"""The example in docs/testing.md is the file that is run."""

import re
from pathlib import Path

import pytest

import fsm.testing

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
TYPES = {"NOW", "Case", "FrozenClock", "Observer"}
EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```python\n(.*?)```\n<!-- end of example -->", re.DOTALL)


def test_the_example_in_the_document_is_the_file_that_is_run() -> None:
    ((path, text),) = EXAMPLE.findall(DOCUMENT)
    assert text == (ROOT / path).read_text(encoding="utf-8")
    assert Path(path).name.startswith("test_")


@pytest.mark.parametrize("name", sorted(set(fsm.testing.__all__) - TYPES))
def test_everything_that_is_offered_is_in_the_document(name: str) -> None:
    assert f"`{name}" in DOCUMENT
