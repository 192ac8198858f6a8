"""oma-fsm simulate-vma."""

from pathlib import Path

from api import logs
from vma.simulator.server import SimulatorConfig, run


def simulate(host: str, port: int, control_port: int, state: str | None, speed: float) -> None:
    """Run the simulator until told to stop."""
    logs.configure("INFO", "console")
    run(SimulatorConfig(host, port, control_port, Path(state) if state else None, speed))
