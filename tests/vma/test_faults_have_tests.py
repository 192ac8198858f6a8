"""Everything that can go wrong with a VMA is tried: by rows and tests that name its number, and by those named here."""

import re
from pathlib import Path

import composite_rows
import pytest
import test_named_trials
from test_answer_table import CASES

TESTS = Path(__file__).parents[1]
NUMBERS = {str(n) for n in range(1, 40)} | {"28a", "34a", "39a"}
# Those that need sockets, or more than one job, or the schedule: number → file and test.
ELSEWHERE = {
    "6": "vma/test_client.py::test_a_huge_body_is_cut_and_not_read_to_its_end",
    "14": "vma/test_client.py::test_a_proxy_without_a_vma_is_unreachable",
    "15": "poller/test_cadence.py::test_retry_after_is_obeyed_up_to_a_minute_and_never_hurries",
    "16": "vma/test_fleet.py::test_that_it_turns_us_away_is_shown_until_it_does_not_and_said_once",
    "17": "vma/test_client.py::test_a_redirect_is_not_followed",
    "18": "vma/test_client.py::test_one_byte_after_another_is_cut_off_by_the_total_time",
    "19": "vma/test_client.py::test_accepted_and_never_answered_is_unreachable",
    "20": "vma/test_client.py::test_a_broken_connection_is_unreachable",
    "21": "vma/test_client.py::test_a_key_is_quoted_so_that_no_other_path_is_reached",
    "32": "vma/test_fleet.py::test_a_known_job_that_is_forgotten_shows_that_the_vma_was_restarted",
    "33": "poller/test_restarts.py::test_an_outage_of_25_seconds_fails_nobody",
    "35": "poller/test_scenarios.py::test_an_unreachable_vma_costs_a_job_younger_than_half_an_hour_nothing",
    "37": "vma/test_fleet.py::test_one_that_hangs_costs_the_other_nothing",
}


def named_here() -> set[str]:
    """The numbers that rows and tests carry in their names."""
    rows = [str(p.id) for p in CASES] + [r.name for r in composite_rows.ROWS]
    by_rows = re.findall(r"\bF(\d+a?)\b", " ".join(rows))
    return {*by_rows, *re.findall(r"_f(\d+a?)(?=_)", " ".join(vars(test_named_trials)))}


def test_every_number_has_a_test() -> None:
    assert NUMBERS - named_here() - ELSEWHERE.keys() == set()


@pytest.mark.parametrize("place", ELSEWHERE.values())
def test_the_test_is_there(place: str) -> None:
    file, test = place.split("::")
    assert f"def {test}(" in (TESTS / file).read_text()
