"""The table of answers and what they come to: each row is asked, read, weighed and decided by the real code."""

import answer_rows as facts
import answer_rows_odd as odd
import composite_rows
import pytest
from answer_table import Case, play

GROUPS = {
    "absent": facts.ABSENT,
    "forgotten": facts.FORGOTTEN,
    "stale": facts.STALE,
    "several": facts.SEVERAL,
    "percent": facts.PERCENT,
    "failed": facts.FAILED,
    "not-found": odd.NOT_FOUND,
    "unreachable": odd.UNREACHABLE,
    "garbage": odd.GARBAGE,
    "asked": odd.ASKED,
    "times": odd.TIMES,
    "words": odd.WORDS,
}
CASES = [pytest.param(c, id=f"{group}: {c.shows}") for group, cases in GROUPS.items() for c in cases]


@pytest.mark.parametrize("row", CASES)
def test_the_answers_come_to(row: Case) -> None:
    played = play(row)
    evidence = played.decision.evidence
    assert played.came_to == row.comes_to, played.decision.says
    assert evidence is not None
    assert all(0 <= p <= 100 for p in (evidence.percent, *(d.percent for d in evidence.disks)) if p is not None)
    assert {name: getattr(evidence, name) for name in row.more} == row.more
    if row.percent is not None:
        assert played.decision.after.percent == pytest.approx(row.percent)
    if row.asked is not None:
        assert played.asked == row.asked


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert len({p.id for p in CASES}) == len(CASES)
    assert len(CASES) + len(composite_rows.ROWS) >= 150
