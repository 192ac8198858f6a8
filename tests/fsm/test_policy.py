"""The numbers of the rules: checked when they are read, and recognisable in history."""

import re
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from fsm.facts import Asked
from fsm.machine import decide_on
from fsm.policy import DEFAULT_POLICY, RecoveryPolicy
from fsm.states import ACTIVE, SETUP, State, Verdict
from fsm.testing import NOW, Observer, make_evidence, make_job

BY_THE_RULES: dict[str, Any] = {
    "grace_initializing": 300,
    "grace_attaching": 300,
    "grace_configuring": 300,
    "grace_ready_for_sync": 120,
    "polling_grace": 30,
    "absence_grace": 120,
    "unreachable_after": 1800,
    "nearly_done_percent": 90.0,
    "inference_ripe": 60,
    "inference_answers": 3,
    "completion_settle": 900,
    "unintelligible_after": 1800,
    "stalled_after": 900,
    "stalled_alarm_after": 3600,
    "watch_fast_for": 600,
    "watch_for": 86400,
    "poll_interval": 5,
    "poll_interval_near_end": 2,
    "near_end_percent": 95.0,
    "watch_interval": 60,
    "backoff_max": 30,
    "retry_after_max": 60,
    "monitor_interval": 60,
    "overdue_after": 10,
    "unclaimed_after": 60,
}
DURATIONS = [n for n in BY_THE_RULES if isinstance(getattr(DEFAULT_POLICY, n), timedelta)]
MAY_BE_ZERO = {n for n in DURATIONS if not n.startswith(("poll_interval", "watch_interval", "backoff", "retry", "mon"))}
MAY_BE_ZERO -= {"overdue_after", "unclaimed_after"}
ORDERED = (
    ("poll_interval_near_end", "poll_interval"),
    ("poll_interval", "backoff_max"),
    ("stalled_after", "stalled_alarm_after"),
    ("watch_fast_for", "watch_for"),
    ("nearly_done_percent", "near_end_percent"),
)


def test_the_defaults_are_the_numbers_of_the_requirement() -> None:
    assert set(RecoveryPolicy.model_fields) == set(BY_THE_RULES)
    for name, wanted in BY_THE_RULES.items():
        found = getattr(DEFAULT_POLICY, name)
        assert (found.total_seconds() if isinstance(found, timedelta) else found) == wanted, name


@pytest.mark.parametrize("name", BY_THE_RULES)
def test_no_number_may_be_negative_and_the_message_names_the_setting(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        RecoveryPolicy(**{name: -1})


@pytest.mark.parametrize("name", DURATIONS)
def test_a_wait_may_be_switched_off_but_a_pace_may_not_be_zero(name: str) -> None:
    partner = {"stalled_alarm_after": {"stalled_after": 0}, "watch_for": {"watch_fast_for": 0}}.get(name, {})
    if name in MAY_BE_ZERO:
        assert getattr(RecoveryPolicy(**{name: 0}, **partner), name) == timedelta(0)
    else:
        with pytest.raises(ValidationError, match=name):
            RecoveryPolicy(**{name: 0}, **partner)


@pytest.mark.parametrize("name", ["nearly_done_percent", "near_end_percent"])
@pytest.mark.parametrize("percent", [100.1, float("nan"), "many"])
def test_a_percentage_stays_a_percentage(name: str, percent: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        RecoveryPolicy(**{name: percent})


@pytest.mark.parametrize(("low", "high"), ORDERED)
def test_an_order_that_makes_a_rule_unreachable_is_refused_by_name(low: str, high: str) -> None:
    top = BY_THE_RULES[high]
    equal: dict[str, Any] = {low: top}
    if low == "poll_interval":
        equal["poll_interval_near_end"] = 1
    assert getattr(RecoveryPolicy(**equal), low) == getattr(DEFAULT_POLICY, high), "equal is allowed"
    with pytest.raises(ValidationError, match=rf"{low} .* must not exceed {high}"):
        RecoveryPolicy(**{low: top + 1})


def test_at_least_one_answer_is_needed_for_an_inference() -> None:
    with pytest.raises(ValidationError, match="inference_answers"):
        RecoveryPolicy(inference_answers=0)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="grace_replicating"):
        RecoveryPolicy(grace_replicating=5)  # type: ignore[call-arg]


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        DEFAULT_POLICY.poll_interval = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("20m", 1200),
        ("90s", 90),
        ("1.5h", 5400),
        (" 2 d ", 172_800),
        ("250ms", 0.25),
        ("PT90S", 90),
        ("90", 90),
        ("0.5", 0.5),
        (90, 90),
        (0.5, 0.5),
    ],
)
def test_durations_are_read_as_operators_write_them(written: Any, seconds: float) -> None:
    assert RecoveryPolicy(unreachable_after=written).unreachable_after.total_seconds() == seconds


@pytest.mark.parametrize(
    "written", ["soon", "20 parsecs", "", "5m5", None, "9" * 12 + "d", "9" * 400, float("nan"), True]
)
def test_a_duration_that_nobody_understands_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError, match=r"unreachable_after\n *a duration is written 90s, 20m, 1.5h or PT20M"):
        RecoveryPolicy(unreachable_after=written)


@pytest.mark.parametrize("written", ["-5m", "-1", -1, "-PT5S"])
def test_no_duration_is_negative(written: Any) -> None:
    with pytest.raises(ValidationError, match=r"unreachable_after\n *must not be negative"):
        RecoveryPolicy(unreachable_after=written)


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("written", ["36501d", "99999999d", timedelta.max])
def test_no_duration_leads_out_of_the_calendar(name: str, written: Any) -> None:
    with pytest.raises(ValidationError, match=rf"{name}\n *must not be longer than 36500d"):
        RecoveryPolicy(**{name: written})


def test_under_the_longest_durations_every_verdict_can_be_told() -> None:
    longest = {name: "36500d" for name in DURATIONS if not name.startswith("poll_interval")}
    policy = RecoveryPolicy(**longest)
    for verdict in Verdict:
        for state in ACTIVE:
            evidence = make_evidence(verdict)
            assert decide_on(make_job(state), evidence, NOW, asked=Asked(), policy=policy).verdicts is not None


@pytest.mark.parametrize("many", [1001, 10**20, float("inf")])
def test_no_number_of_answers_is_waited_for_that_never_comes(many: Any) -> None:
    with pytest.raises(ValidationError, match="inference_answers"):
        RecoveryPolicy(inference_answers=many)
    assert RecoveryPolicy(inference_answers=1000).inference_answers == 1000


@pytest.mark.parametrize("pace", [{"watch_interval": "5m"}, {"poll_interval": "5m", "backoff_max": "5m"}])
def test_a_watch_comes_to_its_end_at_whatever_pace_is_set(pace: dict[str, Any]) -> None:
    policy = RecoveryPolicy(watch_for="1h", **pace)
    observer = Observer(policy=policy)
    *watched, last = observer.hear(make_job("failed"), "not_found", times=13, every="5m")
    assert [d.edge for d in watched] == ["vma_not_found_watched"] * 12
    assert (last.edge, last.after.watched) == ("vma_not_found_watch_over", False)
    rare = Observer(policy=policy).hear(make_job("failed"), "not_found", times=13, every="601s")
    assert {d.after.memory.watched_seconds for d in rare} == {0.0}, "nobody knows what was in between"


def test_every_set_up_state_has_a_grace_of_its_own() -> None:
    policy = RecoveryPolicy(grace_initializing=1, grace_attaching=2, grace_configuring=3, grace_ready_for_sync=4)
    assert [policy.setup_grace(s).total_seconds() for s in SETUP] == [1, 2, 3, 4]
    with pytest.raises(AttributeError):
        policy.setup_grace(State.REPLICATING)


def test_the_fingerprint_says_which_numbers_were_in_force() -> None:
    prints = {name: RecoveryPolicy(**{name: _other(name)}).fingerprint for name in BY_THE_RULES}
    assert len({*prints.values(), DEFAULT_POLICY.fingerprint}) == len(BY_THE_RULES) + 1
    assert RecoveryPolicy(unreachable_after="30m").fingerprint == DEFAULT_POLICY.fingerprint
    assert all(re.fullmatch(r"[0-9a-f]{12}", p) for p in prints.values())


def _other(name: str) -> Any:
    """Another allowed value."""
    return 4 if name == "inference_answers" else BY_THE_RULES[name] + 0.5
