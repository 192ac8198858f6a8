"""One VM with up to two jobs, and a model VMA whose copies are known to run or not: what the rules may never do."""

from dataclasses import replace as altered
from datetime import datetime, timedelta
from itertools import pairwise

from builders import NOW, ONE_DISK, OPERATOR, SIZE, WORKFLOW, Observer
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

# A short watch, so that random lives reach its end; longer than any surviving copy of the model stays silent.
from vm_model import COPY, END, FIRST, POLICY, POLL, SELDOM, SILENT, STEPS, STEPS_OF_WORKFLOW, Copy, Life, ModelVma

from fsm.decision import Decision
from fsm.evidence import Evidence
from fsm.facts import Asked, JobFacts, VmFacts
from fsm.machine import decide, decide_on
from fsm.states import ACTIVE, ENDED, VMA_EVENTS, Effect, Ending, Event, State, Verdict


class OneVm(RuleBasedStateMachine):
    """A VM, its jobs, the VMA, and the process of ours that asks."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.observer = Observer("run-1", NOW)
        self.vma = ModelVma()
        self.lives: list[Life] = []

    # --- helpers ---------------------------------------------------------------------------------

    def life(self, which: int) -> Life:
        """The older or the newer job."""
        return self.lives[min(which, len(self.lives) - 1)]

    def pass_time(self, seconds: float) -> None:
        """Both clocks go on, and so do the copies."""
        self.now += timedelta(seconds=seconds)
        self.vma.work(timedelta(seconds=seconds), self.now)

    def poll(self, life: Life) -> Evidence:
        """Ask the VMA, and follow its answer."""
        said = self.vma.tell(life.facts.job_id, self.now, self.observer)
        life.follow(decide_on(life.facts, said, self.now, asked=POLL, policy=POLICY))
        return said

    def ask_as_due(self, times: int) -> None:
        """Poll whoever is due next, so many times."""
        for _ in range(times):
            due = [life for life in self.lives if life.due is not None]
            if not due:
                return
            life = min(due, key=lambda one: one.due or self.now)
            self.pass_time(max(0.0, ((life.due or self.now) - self.now).total_seconds()))
            self.poll(life)
            self.no_running_copy_is_given_up()

    def ask(self, life: Life, what: Event, asked: Asked) -> Decision:
        """Somebody's event, not yet followed."""
        return decide(life.facts, what, None, self.now, asked=asked, policy=POLICY)

    def ask_for_one_of(
        self, life: Life, events: tuple[Event, ...], asked: Asked, data: st.DataObject
    ) -> Decision | None:
        """Follow one of the events that are allowed now, if any."""
        allowed = [d for d in (self.ask(life, e, asked) for e in events) if d.outcome.accepted]
        if not allowed:
            return None
        decision = data.draw(st.sampled_from(allowed))
        life.follow(decision)
        return decision

    def begin_copy(self, life: Life, silent: int, copy: Copy) -> None:
        """A copy starts; it posts after a while."""
        self.vma.copies.setdefault(life.facts.job_id, altered(copy, posts_at=self.now + timedelta(seconds=silent)))

    def set_up(self, steps: int, silent: int, copy: Copy) -> None:
        """The workflow brings the newest job forward by so many steps; with the last one its copy starts."""
        life = self.lives[-1]
        for what in STEPS_OF_WORKFLOW[:steps]:
            self.pass_time(10)
            life.follow(self.ask(life, what, WORKFLOW))
            assert life.moves[-1].event is what
        if steps == len(STEPS_OF_WORKFLOW):
            self.begin_copy(life, silent, copy)

    def create(self, vm: VmFacts) -> Decision:
        """A job is born, or refused."""
        name = f"job-{len(self.lives) + 1}"
        born = JobFacts(name, State.INITIALIZING, self.now, self.now, version=0, disks=ONE_DISK, total_bytes=SIZE)
        decision = decide(born, Event.CREATE, None, self.now, asked=WORKFLOW, policy=POLICY, vm=vm)
        if decision.moved:
            self.lives.append(Life(born))
            self.lives[-1].follow(decision)
        return decision

    # --- what happens ----------------------------------------------------------------------------

    @initialize(steps=STEPS, silent=SILENT, copy=COPY)
    def first_job(self, steps: int, silent: int, copy: Copy) -> None:
        assert self.create(VmFacts()).moved
        self.set_up(steps, silent, copy)

    @rule(seconds=st.sampled_from((1, 5, 20, 60, 119, 300, 900, 2000, 90_000)))
    def nobody_asks_for_a_while(self, seconds: int) -> None:
        self.pass_time(seconds)

    @rule(times=st.sampled_from((1, 4, 16, 40)))
    def jobs_are_polled_as_due(self, times: int) -> None:
        self.ask_as_due(times)

    @rule(which=FIRST)
    def an_answer_comes_unasked_or_late(self, which: int) -> None:
        self.poll(self.life(which))

    @rule(downtime=st.sampled_from((0, 30, 600, 4000)))
    def our_process_restarts(self, downtime: int) -> None:
        self.pass_time(downtime)
        self.observer = Observer(f"{self.observer.name}+", self.now)

    @rule(which=FIRST, data=st.data(), silent=SILENT, copy=COPY)
    def workflow_goes_on(self, which: int, data: st.DataObject, silent: int, copy: Copy) -> None:
        life = self.life(which)
        decision = self.ask_for_one_of(life, STEPS_OF_WORKFLOW, WORKFLOW, data)
        if decision is not None and decision.moved and decision.event is Event.START:
            self.begin_copy(life, silent, copy)

    @precondition(lambda self: self.lives[-1].facts.state is State.READY_FOR_SYNC)
    @rule(silent=SILENT, copy=COPY)
    def workflow_starts_the_copy_and_dies(self, silent: int, copy: Copy) -> None:
        self.begin_copy(self.lives[-1], silent, copy)

    @rule(which=FIRST, data=st.data(), really=SELDOM, by_workflow=SELDOM)
    def somebody_decides(self, which: int, data: st.DataObject, really: bool, by_workflow: bool) -> None:
        if not really:
            return
        events = (Event.FAIL,) if by_workflow else (Event.REOPEN, Event.COMPLETE, Event.FAIL)
        self.ask_for_one_of(self.life(which), events, WORKFLOW if by_workflow else OPERATOR, data)
        self.poll(self.life(which))  # an answer that was under way

    @precondition(lambda self: len(self.lives) == 1 and not self.lives[0].facts.active)
    @rule(steps=STEPS, silent=SILENT, copy=COPY)
    def a_newer_job_is_wanted(self, steps: int, silent: int, copy: Copy) -> None:
        old = self.lives[0]
        watched = old.facts.job_id if old.facts.watched else None
        said = self.poll(old).verdict if watched else None
        unfinished = old.facts.job_id if old.facts.active else None
        moved = self.create(VmFacts(unfinished, watched if old.facts.watched else None, said)).moved
        assert moved == (said not in (Verdict.RUNNING, Verdict.UNREACHABLE) and not old.facts.active)
        if moved:  # the store ends the watch with it
            old.facts, old.due = replace(old.facts, vm_taken=True, watched=False), None
            self.set_up(steps, silent, copy)

    @precondition(lambda self: len(self.lives) == 1)
    @rule(even_if_active=SELDOM, really=SELDOM)
    def the_oma_itself_inserts_a_newer_job(self, even_if_active: bool, really: bool) -> None:
        if really and (even_if_active or not self.lives[0].facts.active):
            self.lives[0].facts = replace(self.lives[0].facts, vm_taken=True)
            assert self.create(VmFacts()).moved

    # --- what the VMA does -----------------------------------------------------------------------

    @precondition(lambda self: self.vma.link is None)
    @rule(
        link=st.sampled_from((Verdict.UNREACHABLE, Verdict.UNINTELLIGIBLE)),
        retry_after=st.sampled_from((None, 20.0, 60.0)),
        times=st.sampled_from((0, 4, 40)),
        stays=SELDOM,
    )
    def the_vma_goes(self, link: Verdict, retry_after: float | None, times: int, stays: bool) -> None:
        self.vma.link, self.vma.retry_after = link, retry_after
        self.ask_as_due(times)
        self.vma.link = link if stays else None

    @precondition(lambda self: self.vma.link is not None)
    @rule()
    def the_vma_comes_back(self) -> None:
        self.vma.link = None

    @precondition(lambda self: self.vma.copies)
    @rule(data=st.data(), hangs=st.booleans())
    def a_copy_hangs_or_goes_on(self, data: st.DataObject, hangs: bool) -> None:
        data.draw(st.sampled_from(list(self.vma.copies.values()))).hangs = hangs

    @precondition(lambda self: any(c.runs for c in self.vma.copies.values()))
    @rule(data=st.data(), end=END)
    def a_copy_ends(self, data: st.DataObject, end: tuple[Verdict, bool]) -> None:
        data.draw(st.sampled_from([c for c in self.vma.copies.values() if c.runs])).finish(*end, self.now)

    @precondition(lambda self: any(c.known(self.now) for c in self.vma.copies.values()))
    @rule(data=st.data(), silent=SILENT, survives=st.sampled_from((True, True, False)))
    def the_vma_forgets(self, data: st.DataObject, silent: int, survives: bool) -> None:
        """A survivor posts again. It is not forgotten twice unheard: a VMA may not forget for longer than a watch."""
        copy = data.draw(st.sampled_from([c for c in self.vma.copies.values() if c.known(self.now)]))
        if copy.runs and survives and copy.heard:
            copy.posts_at, copy.heard = self.now + timedelta(seconds=silent), False
        elif not (copy.runs and survives):
            copy.posts_at, copy.verdict = None, Verdict.FAILED

    # --- what always holds -----------------------------------------------------------------------

    @invariant()
    def no_running_copy_is_given_up(self) -> None:
        for life in self.lives:
            facts, last = life.facts, life.moves[-1]
            if self.vma.runs(facts.job_id) and not facts.active and last.event in VMA_EVENTS:
                assert facts.ending is Ending.INFERRED, "no final end by the VMA beside a running copy"
                assert facts.watched or facts.vm_taken, "no inferred end unwatched beside a running copy"

    @invariant()
    def counters_equal_the_ends(self) -> None:
        for life in self.lives:
            ends = [d for d in life.moves if d.after.state in ENDED]
            assert all(d.before.state in ACTIVE or d.before.ending is not d.after.ending for d in ends)
            assert life.effects.count(Effect.SETTLE_CONTEXT) == len(ends)
            begun = life.effects.count(Effect.CLAIM_CONTEXT) + life.effects.count(Effect.RECLAIM_CONTEXT)
            assert begun == sum(d.before.state in ACTIVE for d in ends) + life.facts.active

    @invariant()
    def the_history_folds_to_the_job(self) -> None:
        for life in self.lives:
            facts, last = life.facts, life.moves[-1].after
            assert [d.after.version for d in life.moves] == list(range(1, facts.version + 1))
            assert all(_stand(d.after) == _stand(e.before) for d, e in pairwise(life.moves))
            assert _stand(last) == _stand(facts)
            assert (facts.ending is None) == facts.active

    @invariant()
    def whoever_must_be_asked_is_due(self) -> None:
        for life in self.lives:
            assert (life.due is not None) == (life.facts.active or life.facts.watched)
            assert life.facts.polled == (life.due is not None)

    @invariant()
    def progress_is_a_percentage(self) -> None:
        assert all(0.0 <= life.facts.percent <= 100.0 for life in self.lives)


def _stand(facts: JobFacts) -> tuple[State, Ending | None, int, datetime]:
    return facts.state, facts.ending, facts.version, facts.entered_at


def lives(examples: int, steps: int) -> settings:
    """So many random lives, the same every time."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


def test_no_life_of_a_vm_breaks_the_rules() -> None:
    run_state_machine_as_test(OneVm, settings=lives(200, 50))
