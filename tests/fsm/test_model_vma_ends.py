"""Lives that begin where random ones seldom come: at an end that silence concluded, and what is heard after it."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any

import pytest
import vm_model
from builders import OPERATOR, SIZE, WORKFLOW, answer
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test
from msgspec.structs import replace
from test_model_vma import OneVm, lives
from vm_model import POLICY, POLL, Copy

from fsm.facts import Asked, VmFacts
from fsm.machine import decide_on
from fsm.spec import EDGES
from fsm.states import ENDED, VMA_EVENTS, Ending, Event, State, Verdict

WORDS = (Verdict.RUNNING, Verdict.COMPLETED, Verdict.FAILED, Verdict.UNSETTLED)
LINKS = (None, Verdict.UNREACHABLE, Verdict.UNINTELLIGIBLE)
PEOPLE = ((Event.FAIL, WORKFLOW), (Event.FAIL, OPERATOR), (Event.COMPLETE, OPERATOR))
# A watch ends with the answer that completes it, so silence finds it spent only if the policy was shortened meanwhile.
# Random lives do that all the time.
ELSEWHERE = {"done", "broke", "silent", "unreachable", "garbled_long", "garbled"}
ONLY_UNDER_ANOTHER_POLICY = {"vma_unreachable_watch_over", "vma_unintelligible_watch_over"}
# How far the workflow comes, how far the copy, whether its own key says so, and for how many minutes it stays so.
APPEARANCES = list(product((1, 3, 4), (50.0, 97.0), (False, True), (0, 14, 15)))
WAYS_ON = len(WORDS) * 2 + len(LINKS) + len(PEOPLE)
# How far the workflow comes, how far the copy, whether a newer job is there, and whether its watch is all but over.
BEGINNINGS = list(product((2, 4), (30.0, 95.0), (False, True), (False, True)))


class EndedVm(OneVm):
    """A VM whose first job was given up. Then its copy has a word, or a person, and life goes on."""

    @initialize(beginning=st.sampled_from(BEGINNINGS), word=st.integers(0, WAYS_ON - 1))
    def first_job(self, beginning: tuple[int, float, bool, bool], word: int) -> None:  # type: ignore[override]
        steps, percent, newer, late = beginning
        copy = self.given_up(steps, percent)
        if newer:
            self.lives[0].facts = replace(self.lives[0].facts, vm_taken=True)
            assert self.create(VmFacts()).moved
        if late:
            self.wait_for_the_end_of_the_watch()
        self.words(copy)[word]()
        self.pass_time(5)
        self.poll(self.lives[0])
        self.vma.link = None

    def words(self, copy: Copy) -> list[Callable[[], None]]:
        """What may come after the end."""
        said = [partial(self.say, copy, word, own_key) for word, own_key in product(WORDS, (False, True))]
        lost = [partial(self.stay_dead, copy, link) for link in LINKS]
        ruled = [partial(self.rule_on_it, copy, *person) for person in PEOPLE]
        return [*said, *lost, *ruled]

    def say(self, copy: Copy, word: Verdict, own_key: bool) -> None:
        """The copy posts again."""
        copy.posts_at = self.now
        if word is not Verdict.RUNNING:
            copy.finish(word, own_key, self.now)

    def stay_dead(self, copy: Copy, link: Verdict | None) -> None:
        """The copy ran no more when it was given up."""
        copy.verdict, self.vma.link = Verdict.FAILED, link

    def rule_on_it(self, copy: Copy, event: Event, asked: Asked) -> None:
        """Somebody knows better."""
        self.stay_dead(copy, None)
        self.lives[0].follow(self.ask(self.lives[0], event, asked))

    def given_up(self, steps: int, percent: float) -> Copy:
        """The VMA says nothing of the job any more, or said nothing yet, until nobody believes in it."""
        assert self.create(VmFacts()).moved
        self.set_up(steps, 0, Copy(None, SIZE * percent / 100))
        life = self.lives[0]
        copy = self.vma.copies.setdefault(life.facts.job_id, Copy(None, SIZE * percent / 100))
        if steps == 4:
            self.ask_as_due(2)
        copy.posts_at = None
        while life.facts.active:
            self.ask_as_due(1)
        assert life.facts.ending is Ending.INFERRED
        assert life.facts.state is (State.COMPLETED if steps == 4 and percent > 90 else State.FAILED)
        return copy

    def wait_for_the_end_of_the_watch(self) -> None:
        """Whatever is said next is the last that is heard of the job."""
        spent = POLICY.watch_for.total_seconds()
        while self.lives[0].facts.memory.watched_seconds < spent - 5:
            self.lives[0].due = self.now + timedelta(seconds=5)
            self.ask_as_due(1)


class UnsettledVm(OneVm):
    """A VM whose copy says that it is done where nothing proves it."""

    @initialize(beginning=st.sampled_from(APPEARANCES))
    def first_job(self, beginning: tuple[int, float, bool, int]) -> None:  # type: ignore[override]
        steps, percent, own_key, minutes = beginning
        assert self.create(VmFacts()).moved
        self.set_up(steps, 0, Copy(None, 0.0))
        copy = Copy(self.now, SIZE * percent / 100)
        copy.finish(Verdict.UNSETTLED, own_key, self.now)
        self.vma.copies[self.lives[0].facts.job_id] = copy
        self.poll(self.lives[0])
        self.pass_time(60 * minutes)
        self.poll(self.lives[0])


@pytest.mark.parametrize("machine", [EndedVm, UnsettledVm])
def test_no_life_after_such_a_beginning_breaks_the_rules(machine: type[OneVm]) -> None:
    run_state_machine_as_test(machine, settings=lives(60, 15))


def test_together_the_beginnings_go_over_every_edge_that_an_answer_can_take(monkeypatch: pytest.MonkeyPatch) -> None:
    gone: Counter[str] = Counter()
    monkeypatch.setattr(vm_model, "event", lambda name: gone.update([name]))
    for beginning, word in product(BEGINNINGS, range(WAYS_ON)):
        _begun(EndedVm(), beginning, word)
    for appearance in APPEARANCES:
        _begun(UnsettledVm(), appearance)
    answered = {
        edge.name for edge in EDGES if edge.event in VMA_EVENTS and set(edge.sources) & {*ENDED, State.REPLICATING}
    }
    assert answered - gone.keys() == ELSEWHERE | ONLY_UNDER_ANOTHER_POLICY


def _begun(vm: OneVm, *beginning: Any) -> None:
    vm.first_job(*beginning)
    if not vm.lives[0].facts.polled:
        for verdict in Verdict:
            late = answer(verdict, vm.now, vm.observer)
            vm.lives[0].follow(decide_on(vm.lives[0].facts, late, vm.now, asked=POLL, policy=POLICY))
    for holds in (vm.no_running_copy_is_given_up, vm.counters_equal_the_ends, vm.the_history_folds_to_the_job):
        holds()
