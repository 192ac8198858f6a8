"""A seeded trial: a model VMA in virtual time, asked, read, weighed and judged by the real code, beside the truth.

`python tests/vma/trial.py SEED` prints the story of one seed.
"""

import sys
from bisect import bisect_right, insort
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from trial_bytes import EPOCH
from trial_copy import NEVER
from trial_judge import Hearing, WrongError, judge, stuck
from trial_story import LONG_ENOUGH, Planned, Story, at, draw, newer_job

from fsm.cadence import interval
from fsm.decision import Decision
from fsm.facts import Asked, JobFacts, VmFacts
from fsm.machine import decide, decide_on
from fsm.policy import DEFAULT_POLICY
from fsm.states import Asker, Effect, Ending, Event
from fsm.values import changed
from vma.composite import compose
from vma.hearing import Hearing as VmaHearing
from vma.keys import next_keys
from vma.question import Question

POLL, STARTUP, BY_WORKFLOW = Asked(Asker.POLL), Asked(Asker.STARTUP), Asked(Asker.WORKFLOW)
EAGER = 1  # poll at its own pace after something happened; then each gap is four times the last one
LONGEST = 1500.0  # seconds
BACK = 2.0


@dataclass(slots=True)
class Life:
    """What a store and a schedule would keep of one job, and what it has heard."""

    plan: Planned
    facts: JobFacts
    due: float | None
    errors: int = 0
    calm: int = 0
    heard: Hearing = field(default_factory=Hearing)
    taken: JobFacts | None = None  # as it stood when a newer job took its VM


@dataclass(slots=True)
class Trial:
    """One story, told to its end. `log` is filled if it is wanted."""

    seed: int
    log: list[str] | None = None
    given: Story | None = None  # instead of the one that the seed draws
    eager: int = EAGER
    edges: Counter[str] = field(default_factory=Counter)
    story: Story = field(init=False)
    lives: list[Life] = field(default_factory=list)
    marks: list[float] = field(default_factory=list)
    run: int = 0
    up_since: float = 0.0
    pace: Random = field(default_factory=Random)
    moves: list[tuple[float, Decision]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.story, self.pace = self.given or draw(self.seed), Random(self.seed + 1)
        self.marks = [0.0, *self.story.marks]

    def tell(self) -> None:
        """Play it. WrongError at the first thing that must not happen."""
        self._begin(self.story.jobs[0])
        events = sorted([(t, 0, e) for t, e in self.story.jobs[0].workflow])
        end = max([0.0, *self.marks]) + LONG_ENOUGH
        while (life := self._next()) is not None and life.due is not None and life.due <= end:
            now = life.due
            while events and events[0][0] <= now:
                when, which, event = events.pop(0)
                self._fire(self.lives[which], event, when)
            if now >= self.story.newer and self._insert(now):
                second = self.lives[-1]
                events.extend((t, 1, e) for t, e in second.plan.workflow)
                end = max([end, *(t + LONG_ENOUGH for t in self.marks)])
            self._wake(now)
            self._poll(life, now)
            if not life.facts.active and now > self.marks[-1] and not now <= self.story.newer < NEVER:
                life.due = None  # nothing that it could still hear would be new
        for life in self.lives:
            stuck(life.facts, life.plan.copy, end, EPOCH)

    def _next(self) -> Life | None:
        due = [life for life in self.lives if life.due is not None]
        return min(due, key=lambda life: life.due or 0.0, default=None)

    def _note(self, now: float, text: str) -> None:
        if self.log is not None:
            self.log.append(f"{now:10.1f} s  {text}")

    # --- what others do ----------------------------------------------------------------------------

    def _begin(self, plan: Planned) -> None:
        life = Life(plan, plan.facts, plan.begins)
        self.lives.append(life)
        self.story.vma.copies.append(plan.copy)
        self._note(plan.begins, f"{plan.facts.state} {plan.copy}")
        if plan.facts.version == 0:
            self._fire(life, Event.CREATE, plan.begins)

    def _fire(self, life: Life, event: Event, now: float) -> None:
        decision = decide(life.facts, event, None, EPOCH + at(now), asked=BY_WORKFLOW, vm=VmFacts())
        self._note(now, f"workflow: {decision.says}")
        self._follow(life, decision, now)
        if decision.moved and life.due is not None:
            life.due, life.calm = max(min(life.due, now + BACK), now), 0

    def _insert(self, now: float) -> bool:
        """The OMA inserts a newer job of the VM past us; then only the older one's own id is asked."""
        first = self.lives[0]
        copy = first.plan.copy
        if first.facts.active:
            return False
        self.story.newer = NEVER
        if first.facts.ending is not Ending.INFERRED or (copy.keys == "export" and copy.started <= now < copy.over):
            return False
        first.facts = first.taken = changed(first.facts, vm_taken=True)
        plan = newer_job(self.story, now)
        self.story.jobs.append(plan)
        for mark in self.story.marks:
            if mark > now:
                insort(self.marks, mark)
        self._begin(plan)
        return True

    def _wake(self, now: float) -> None:
        """Our process may have been started anew since the last poll."""
        ups = [up for _, up in self.story.downtimes if self.up_since < up <= now]
        if ups:
            self.run, self.up_since = self.run + 1, max(ups)
            self._note(self.up_since, f"our process is started anew: run {self.run}")
            for life in self.lives:
                life.heard.restart(self.up_since)

    # --- asking ------------------------------------------------------------------------------------

    def _poll(self, life: Life, now: float) -> None:
        moment, vma = EPOCH + at(now), self.story.vma
        question = Question.of(life.facts)
        asked = vma.ask(now, lambda answers: next_keys(VmaHearing(question, answers, moment)))
        hearing = VmaHearing(question, asked.answers, moment)
        evidence = compose(hearing, observer=f"run-{self.run}", uptime=now - self.up_since)
        by = STARTUP if now - self.up_since < BACK and self.run else POLL
        decision = decide_on(life.facts, evidence, moment, asked=by)
        self.edges[decision.edge or "refused"] += 1
        if self.log is not None:
            said = {k: f"{a.kind} {a.word}" for k, a in asked.answers.items()}
            self._note(now, f"{evidence.verdict} {evidence.percent} {said} -> {decision.says}")
        life.heard.add(evidence, now)
        self._follow(life, decision, now)
        judge(decision, life.heard, life.plan.copy, vma, now, plain=asked.plain)
        if life.taken is not None and (life.facts.state, life.facts.ending) != (life.taken.state, life.taken.ending):
            raise WrongError("evidence moved a job whose VM belongs to a newer one")
        life.errors = life.errors + 1 if evidence.verdict.is_no_answer else 0
        if life.due is not None:
            life.due = self._when_next(life, now, moment, evidence.retry_after)

    def _follow(self, life: Life, decision: Decision, now: float) -> None:
        life.facts = decision.after
        if decision.moved:
            self.moves.append((now, decision))
        if Effect.STOP_POLLING in decision.effects:
            life.due = None
        elif decision.moved and life.due is None:
            life.due = now

    def _when_next(self, life: Life, now: float, moment: datetime, retry_after: float | None) -> float:
        """At its own pace around everything that happens; in between, polls that would say the same are left out."""
        gap = interval(life.facts, life.errors, moment, DEFAULT_POLICY, retry_after).total_seconds()
        if not 0 < gap <= 60:
            raise WrongError(f"the next poll only after {gap} s")
        life.calm += not self.story.vma.flaps(now)
        place = bisect_right(self.marks, now)
        mark = self.marks[place] if place < len(self.marks) else NEVER
        target = now + (gap if life.calm <= self.eager else min(gap * 4.0 ** (life.calm - self.eager), LONGEST))
        if now + gap >= mark:
            life.calm, target = 0, now + gap
        elif target > mark - gap and not life.facts.in_setup:
            target = max(now + gap, mark - gap * self.pace.random())
        elif target > mark:
            target, life.calm = mark + gap * self.pace.random(), 0
        return next(
            (up + BACK * self.pace.random() for down, up in self.story.downtimes if down <= target < up), target
        )


def told(seed: int) -> str:
    """The story of a seed in lines, with what was wrong at its end."""
    trial = Trial(seed, log=[])
    try:
        trial.tell()
        end = "nothing was wrong"
    except WrongError as wrong:
        end = f"WRONG: {wrong}"
    vma = trial.story.vma
    head = [f"seed {seed}", *map(str, vma.troubles), *map(str, vma.forgets), f"stale {vma.stale}"]
    return "\n".join([*head, *(trial.log or []), end])


if __name__ == "__main__":
    sys.stdout.write(told(int(sys.argv[1])) + "\n")
