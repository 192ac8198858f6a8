"""Every word of the contract has its meaning, whatever its case, and no other word has one."""

import pytest

from fsm.states import Verdict
from vma import words
from vma.words import Meaning, may_be_left_standing, meaning_of

CONTRACT = {
    Meaning.NOT_STARTED: """Queued|starting|Preparing|Discover|EnableCBT|QueryCBT|Initializing|initializing|
        PrepareVolumes|StartExports|Setting up NBD|Preparing Migration""",
    Meaning.SNAPSHOT: "Snapshotting|Snapshot|Snapshot Creation|snapshot_creation|Creating Snapshot",
    Meaning.COPYING: "in_progress|running|Streaming|Transfer|Copying Data|copying_data",
    Meaning.FINISHING: "Finalizing|Finalize|PersistChangeIDs|Cleanup|cleanup",
    Meaning.DONE: "completed|Completed|Succeeded",
    Meaning.BROKEN: "failed|Failed|error|Error",
}
WORDS = [(word.strip(), meaning) for meaning, words in CONTRACT.items() for word in words.split("|")]


@pytest.mark.parametrize(("word", "meaning"), WORDS)
def test_a_word_of_the_contract_has_its_meaning_in_any_case(word: str, meaning: Meaning) -> None:
    assert {meaning_of(word), meaning_of(word.upper()), meaning_of(f" {word.lower()} ")} == {meaning}


@pytest.mark.parametrize("word", [None, "", "Throttled", "not found", "complete", "success", "healthy", "fail", "run"])
def test_any_other_word_is_unknown(word: str | None) -> None:
    assert meaning_of(word) is None


def test_a_word_as_long_as_a_body_is_understood_and_not_kept() -> None:
    kept = words._known.cache_info().currsize
    assert meaning_of("in_progress" + " " * 2**20) is Meaning.COPYING
    assert meaning_of("x" * 2**20) is None
    assert words._known.cache_info().currsize == kept


def test_only_done_and_broken_are_ends() -> None:
    ends = {meaning: meaning.verdict for meaning in Meaning if meaning.verdict is not Verdict.RUNNING}
    assert ends == {Meaning.DONE: Verdict.COMPLETED, Meaning.BROKEN: Verdict.FAILED}


@pytest.mark.parametrize(
    ("phase", "percent", "left"),
    [
        ("Transfer", 30, True),
        ("transfer", 5, True),
        ("Transfer", 30.1, False),
        ("copying_data", 20, False),
        (None, 5, False),
    ],
)
def test_a_set_up_percentage_is_left_standing_in_transfer_only(phase: str | None, percent: float, left: bool) -> None:
    assert may_be_left_standing(phase, percent) is left
