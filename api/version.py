"""The release, as it was installed."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final


def _installed() -> str:
    try:
        return version("oma-fsm")
    except PackageNotFoundError:  # run from a source tree
        return "0+source"


VERSION: Final = _installed()
