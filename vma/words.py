"""The words the VMA uses for status and phase, and what each of them means.

Both are free text posted by the copy process. A word that is not in the table is unknown: it is
neither taken for "running" nor for an end.
"""

from enum import StrEnum
from functools import lru_cache
from typing import Final

from fsm.states import Verdict


class Meaning(StrEnum):
    """What a word says about a copy."""

    NOT_STARTED = "not_started"
    SNAPSHOT = "snapshot"
    COPYING = "copying"
    FINISHING = "finishing"
    DONE = "done"
    BROKEN = "broken"

    @property
    def verdict(self) -> Verdict:
        """What a status word of this meaning amounts to: everything before the end is running."""
        return _ENDS.get(self, Verdict.RUNNING)


_ENDS: Final = {Meaning.DONE: Verdict.COMPLETED, Meaning.BROKEN: Verdict.FAILED}

_WORDS: Final = {
    Meaning.NOT_STARTED: (
        *("Queued", "starting", "Preparing"),
        *("Discover", "EnableCBT", "QueryCBT", "Initializing", "PrepareVolumes", "StartExports"),
        *("Setting up NBD", "Preparing Migration"),
    ),
    Meaning.SNAPSHOT: ("Snapshotting", "Snapshot", "Snapshot Creation", "snapshot_creation", "Creating Snapshot"),
    Meaning.COPYING: ("in_progress", "running", "Streaming", "Transfer", "Copying Data", "copying_data"),
    Meaning.FINISHING: ("Finalizing", "Finalize", "PersistChangeIDs", "Cleanup"),
    Meaning.DONE: ("completed", "Succeeded"),
    Meaning.BROKEN: ("failed", "error"),
}


LONGEST: Final = 64  # characters of a word that is remembered: a body may be one long word


def _plain(word: str) -> str:
    return " ".join(word.split()).casefold()


_TABLE: Final = {_plain(word): meaning for meaning, words in _WORDS.items() for word in words}

# The phase of the current appliances. When it begins, the percentage of the last set-up step is left standing
# until the first byte is posted; 30 is the last of these steps (5, 10, 20, 30).
_LEFT_STANDING: Final = ("transfer", 30.0)


def meaning_of(word: str | None) -> Meaning | None:
    """What a status or phase word means, whatever its case; None if it is unknown."""
    if word is None:
        return None
    return _known(word) if len(word) <= LONGEST else _TABLE.get(_plain(word))


@lru_cache(maxsize=256)  # the same few words all the time
def _known(word: str) -> Meaning | None:
    return _TABLE.get(_plain(word))


def may_be_left_standing(phase: str | None, percent: float) -> bool:
    """True if a percentage without bytes may still be that of a set-up step, although the phase is one of copying."""
    word, highest = _LEFT_STANDING
    return phase is not None and _plain(phase) == word and percent <= highest
