"""Silences that were borne: would another policy have ended the job?

A decision to stay is not kept, but the poll history shows when the VMA's answer changed, so it shows how long it was
away or did not know a job. What the rules remembered meanwhile is rebuilt from that: an estimate, and a cautious one.
The silence is counted from its first answer that was kept to one poll before its end, under one run of ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from fsm.decision import Decision
from fsm.evidence import Evidence
from fsm.facts import Asked, JobFacts
from fsm.guard import GuardVerdict
from fsm.machine import decide_on, situation_of
from fsm.memory import Streak
from fsm.policy import RecoveryPolicy
from fsm.replay import EDGE
from fsm.states import Asker, Verdict
from fsm.values import changed

SILENT = (Verdict.UNREACHABLE, Verdict.NOT_FOUND)
_OBSERVER = "replay"
_POLL = Asked(Asker.POLL)


@dataclass(frozen=True, slots=True)
class Silence:
    """The VMA gave the same answer from `since` to `until`. `facts`: the job when it began.

    The job stayed, or `then` says which move came before the VMA said anything else.
    """

    facts: JobFacts
    verdict: Verdict
    since: datetime
    until: datetime
    then: str = ""

    @property
    def lasted(self) -> timedelta:
        """How long."""
        return self.until - self.since


@dataclass(frozen=True, slots=True)
class Ended:
    """A silence that another policy would not have borne, and the parts of the rule that would have ended it."""

    silence: Silence
    would: Decision
    guards: tuple[GuardVerdict, ...]


def not_borne(silences: Iterable[Silence], policy: RecoveryPolicy, present: RecoveryPolicy) -> list[Ended]:
    """The silences that would have ended their jobs under `policy` and would not under the present one."""
    found = ((silence, judge(silence, policy)) for silence in silences if not judge(silence, present).moved)
    return [Ended(silence, would, _parts(would, policy)) for silence, would in found if would.moved]


def judge(silence: Silence, policy: RecoveryPolicy) -> Decision:
    """What the last answer of the silence would have come to."""
    until = max(silence.until - policy.poll_interval, silence.since)
    heard = (until - silence.since).total_seconds()
    answers = int(heard / policy.backoff_max.total_seconds())  # at the slowest pace
    streak = Streak(silence.since, _OBSERVER, 0.0, heard, answers)
    kind = "unreachable" if silence.verdict is Verdict.UNREACHABLE else "not_found"
    before = replace(silence.facts, memory=changed(silence.facts.memory, **{kind: streak}))
    return decide_on(before, Evidence(silence.verdict, until, _OBSERVER, heard), until, asked=_POLL, policy=policy)


def _parts(would: Decision, policy: RecoveryPolicy) -> tuple[GuardVerdict, ...]:
    situation = situation_of(would.before, would.evidence, would.at, would.asked, policy)
    leaves = (g for guard in EDGE[would.edge or ""].guards for g in guard.family() if not g.parts)
    return tuple(v for leaf in leaves if (v := leaf(situation)).passed)
