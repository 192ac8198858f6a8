"""The client against the simulated appliance: every fault amounts to the verdict it must have."""

import asyncio
from collections.abc import Iterator

import pytest
from vma_answers import JOB, NOW

from fsm.evidence import Evidence
from fsm.states import Verdict
from vma.client import VmaClient, VmaLimits
from vma.question import Question
from vma.simulator.faults import MODES, FaultMode
from vma.simulator.process import SimulatorProcess

pytestmark = pytest.mark.process

UNREACHABLE = {"hang", "refuse", "reset", "cut", "slow", "502", "503", "504"}
NOT_FOUND = {"not_found_text_200", "not_found_json_200"}
STILL_RUNNING = {"percent_string"}
SLOW = {"hang", "slow"}  # whoever waits for these waits in vain
PATIENT = VmaLimits(connect=10, read=10, total=10)


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess() as running:
        running.control.put_entry(JOB, [{"stage": "Transfer", "status": "in_progress", "percent": 42}])
        yield running


def ask(simulator: SimulatorProcess, limits: VmaLimits = PATIENT) -> Evidence:
    async def asking() -> Evidence:
        client = VmaClient(simulator.url, limits=limits)
        try:
            return await client.ask(Question(JOB, NOW, own_id_only=True))
        finally:
            await client.aclose()

    return asyncio.run(asking())


def test_without_a_fault_the_job_runs(simulator: SimulatorProcess) -> None:
    evidence = ask(simulator)
    assert (evidence.verdict, evidence.percent, evidence.error) == (Verdict.RUNNING, 42.0, None)


@pytest.mark.parametrize("mode", MODES)
def test_a_fault_amounts_to(mode: FaultMode, simulator: SimulatorProcess) -> None:
    simulator.control.fault(mode)
    try:
        evidence = ask(simulator, VmaLimits(total=1.0)) if mode in SLOW else ask(simulator)
    finally:
        simulator.control.no_fault()
    expected = Verdict.UNREACHABLE if mode in UNREACHABLE else Verdict.UNINTELLIGIBLE
    expected = Verdict.NOT_FOUND if mode in NOT_FOUND else expected
    assert evidence.verdict is (Verdict.RUNNING if mode in STILL_RUNNING else expected), evidence
