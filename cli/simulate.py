"""oma-fsm simulate-vma."""

from pathlib import Path

from rich.table import Table

from api import logs
from cli.common import fail, out
from vma.simulator.scenario import Scenario
from vma.simulator.scenario_file import BadScenarioError, read_scenario
from vma.simulator.script import timetable
from vma.simulator.server import SimulatorConfig, run
from vma.simulator.units import clock_text


def simulate(host: str, port: int, control_port: int, state: str | None, speed: float | None) -> None:
    """Run the simulator until told to stop."""
    logs.configure("INFO", "console")
    run(SimulatorConfig(host, port, control_port, Path(state) if state else None, speed or 1.0))


def play(path: str, host: str, port: int, control_port: int) -> None:
    """Run the simulator with a scenario until told to stop."""
    scenario = read(path)
    logs.configure("INFO", "console")
    run(SimulatorConfig(host, port, control_port, scenario=scenario))


def check(path: str) -> None:
    """Print what a scenario would do, and when."""
    scenario = read(path)
    out.print(_table(scenario))


def read(path: str) -> Scenario:
    """The scenario, or leave with what is wrong in it."""
    try:
        return read_scenario(Path(path))
    except BadScenarioError as error:
        fail(f"the scenario cannot be played\n{error}")


def _table(scenario: Scenario) -> Table:
    pace = f"{scenario.speed:g} times real time" if scenario.speed != 1 else "real time"
    table = Table(title=f"{scenario.scenario} ({scenario.generation}, {pace})", title_justify="left")
    for heading in ("at", "what", "whom"):
        table.add_column(heading)
    for line in timetable(scenario):
        table.add_row("on request" if line.at is None else clock_text(line.at), line.what, line.whom)
    return table
