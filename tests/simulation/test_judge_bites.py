"""The simulations see what they are for: with each of these faults in the product some story of the first few fails."""

import heapq
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import memory_store
import pytest
import simulation
from memory_store import MemoryStore
from msgspec.structs import replace
from simulation import play

from fsm.facts import Asked, JobFacts
from fsm.policy import RecoveryPolicy
from poller import shares
from poller.answers import Answers
from poller.by_locks import ByLocks
from poller.metrics import Metrics
from poller.monitor import Monitor
from poller.poller import Poller
from poller.recovery import Recovery
from poller.schedule import POLL, Entry, Schedule, _weightier
from poller.service import PollingService
from poller.sharing import Sharing
from vma.breaker import Breaker

Patch = pytest.MonkeyPatch


def forgets_a_job_now_and_then(patch: Patch) -> None:
    done, count = Poller._done, [0]

    def sometimes(self: Poller, job_id: str, pause: float) -> None:
        count[0] += 1
        if count[0] % 50 == 0:
            self.schedule.drop(job_id)
        else:
            done(self, job_id, pause)

    patch.setattr(Poller, "_done", sometimes)


def does_not_recover_at_its_start(patch: Patch) -> None:
    patch.setattr(PollingService, "_recover_at_start", nothing)


def asks_twice_at_once(patch: Patch) -> None:
    def put(self: Schedule, job_id: str, due: float, asked: Asked = POLL) -> None:
        entry = self._entries.setdefault(job_id, Entry(job_id, due, asked))
        entry.asked, entry.in_flight_since = _weightier(asked, entry.asked), None
        entry.due = min(entry.due, due)
        heapq.heappush(self._heap, (entry.due, job_id))

    patch.setattr(Schedule, "put", put)


def applies_an_answer_to_a_job_that_moved(patch: Patch) -> None:
    patch.setattr(MemoryStore, "fits", lambda _self, loaded, answer: not answer.overtaken(loaded.polling))


def applies_an_answer_that_others_overtook(patch: Patch) -> None:
    patch.setattr(MemoryStore, "fits", lambda _self, loaded, answer: loaded.facts.version == answer.version)


def keeps_a_breaker_open(patch: Patch) -> None:
    patch.setattr(Breaker, "answered", lambda self: setattr(self, "failures", 0))


def does_not_hear_that_an_appliance_is_back(patch: Patch) -> None:
    patch.setattr(Poller, "is_back", lambda _self, _appliance: None)


def does_not_ask_about_jobs_of_gained_shares(patch: Patch) -> None:
    patch.setattr(Sharing, "_pick_up", nothing)


def believes_in_its_shares_for_an_hour(patch: Patch) -> None:
    patch.setattr(ByLocks, "trust", 3600.0)


def polls_what_others_own_too(patch: Patch) -> None:
    patch.setattr(shares.SharedOwnership, "owns", lambda self, _job_id: self.polls)


def polls_where_it_should_only_answer(patch: Patch) -> None:
    patch.setattr(shares.SharedOwnership, "polls", True)
    patch.setattr(ByLocks, "polls", True)


def leaves_runs_of_the_dead_open(patch: Patch) -> None:
    patch.setattr(MemoryStore, "abandon_runs", lambda *_: None)


def does_not_record_a_recovery(patch: Patch) -> None:
    patch.setattr(Recovery, "_record", nothing)


def recovers_twice_at_once(patch: Patch) -> None:
    start = Recovery.start

    async def anyhow(self: Recovery, asked: Asked) -> Any:
        self.run = None
        return await start(self, asked)

    patch.setattr(Recovery, "start", anyhow)


def recovers_all_jobs_at_two_replicas(patch: Patch) -> None:
    open_run = MemoryStore.open_run
    patch.setattr(MemoryStore, "open_run", lambda *asked: open_run(*asked[:5]))


def does_not_put_back_what_is_missing(patch: Patch) -> None:
    async def blind(*_: Any) -> list[Any]:
        return []

    patch.setattr(Monitor, "_repair", blind)


def lets_a_dead_loop_be(patch: Patch) -> None:
    async def once(_self: PollingService, _name: str, loop: Callable[[], Any]) -> None:
        await loop()

    patch.setattr(PollingService, "_keep_alive", once)


def gives_up_after_five_minutes(patch: Patch) -> None:
    patch.setattr(simulation, "DEFAULT_POLICY", RecoveryPolicy(unreachable_after=timedelta(minutes=5)))


def infers_from_one_answer(patch: Patch) -> None:
    patch.setattr(simulation, "DEFAULT_POLICY", RecoveryPolicy(inference_ripe=timedelta(0)))


def does_not_watch(patch: Patch) -> None:
    put = MemoryStore._put

    def unwatched(self: MemoryStore, facts: JobFacts) -> None:
        put(self, replace(facts, watched=False))

    patch.setattr(memory_store.MemoryStore, "_put", unwatched)


def puts_off_for_too_long(patch: Patch) -> None:
    patch.setattr(Poller, "_spread", lambda _self, _answer, pause, _waited: 20 * pause)


def forgets_answers_that_could_not_be_written(patch: Patch) -> None:
    patch.setattr(Poller, "_came_to_nothing", lambda *_, **__: None)


def loses_answers_when_it_stops(patch: Patch) -> None:
    patch.setattr(Answers, "rest", lambda _self: [])


def counts_twice(patch: Patch) -> None:
    count = Metrics.count

    def twice(self: Metrics, decision: Any) -> None:
        count(self, decision)
        count(self, decision)

    patch.setattr(Metrics, "count", twice)


async def nothing(*_: Any) -> None:
    pass


# Each with a seed whose story shows it. Should stories change, the next ones are tried.
FAULTS: dict[Callable[[Patch], None], int] = {
    forgets_a_job_now_and_then: 11,
    does_not_recover_at_its_start: 0,
    asks_twice_at_once: 7,
    applies_an_answer_to_a_job_that_moved: 14,
    applies_an_answer_that_others_overtook: 7,
    keeps_a_breaker_open: 0,
    does_not_hear_that_an_appliance_is_back: 8,
    does_not_ask_about_jobs_of_gained_shares: 7,
    believes_in_its_shares_for_an_hour: 207,
    polls_what_others_own_too: 7,
    polls_where_it_should_only_answer: 27,
    leaves_runs_of_the_dead_open: 48,
    does_not_record_a_recovery: 0,
    recovers_twice_at_once: 10,
    recovers_all_jobs_at_two_replicas: 7,
    does_not_put_back_what_is_missing: 18,
    lets_a_dead_loop_be: 25,
    gives_up_after_five_minutes: 8,
    infers_from_one_answer: 13,
    does_not_watch: 0,
    puts_off_for_too_long: 0,
    forgets_answers_that_could_not_be_written: 7,
    loses_answers_when_it_stops: 3,
    counts_twice: 0,
}
OF_REPLICAS = {
    applies_an_answer_that_others_overtook, does_not_ask_about_jobs_of_gained_shares,
    believes_in_its_shares_for_an_hour, polls_what_others_own_too, polls_where_it_should_only_answer,
    recovers_all_jobs_at_two_replicas,
}  # fmt: skip
TRIES = 300


@pytest.mark.no_cover
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_service_that(fault: Callable[[Patch], None], monkeypatch: Patch) -> None:
    fault(monkeypatch)
    first = FAULTS[fault]
    stories = range(first, first + 1000, 20) if fault in OF_REPLICAS else range(first, first + TRIES)
    assert any(play(seed).judge.wrong for seed in stories)
