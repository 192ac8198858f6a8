"""python -m vma.simulator: the simulator without the rest of the service."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vma.simulator.scenario import Scenario
from vma.simulator.server import SimulatorConfig, run


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and serve."""
    options = _parser().parse_args(arguments)
    if options.scenario and (options.state or options.speed):
        raise SystemExit("a scenario says its own pace and restarts: leave --state and --speed out")
    run(_config(options))


def _parser() -> argparse.ArgumentParser:
    default = SimulatorConfig()
    parser = argparse.ArgumentParser(prog="python -m vma.simulator", description="A simulated VMA.")
    parser.add_argument("--host", default=default.host, help="address of both ports")
    parser.add_argument("--port", type=int, default=default.port, help="data API; 0: a free one")
    parser.add_argument("--control-port", type=int, default=default.control_port, help="0: a free one")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep the copies over a kill")
    parser.add_argument("--speed", type=_speed, help="10: ten times faster")
    parser.add_argument("--scenario", type=Path, metavar="FILE", help="play a scenario (docs/simulator.md)")
    parser.add_argument("--clock-offset", type=float, default=0.0, metavar="SECONDS", help="wrong clock")
    parser.add_argument("--utc-offset", type=int, default=0, metavar="MINUTES", help="the appliance's zone")
    parser.add_argument("--stop-with-stdin", action="store_true", help="end when standard input closes")
    return parser


def _config(options: argparse.Namespace) -> SimulatorConfig:
    return SimulatorConfig(
        host=options.host,
        port=options.port,
        control_port=options.control_port,
        state=options.state,
        speed=options.speed or 1.0,
        scenario=_scenario(options.scenario) if options.scenario else None,
        clock_offset_s=options.clock_offset,
        utc_offset_min=options.utc_offset,
        stop_with_stdin=options.stop_with_stdin,
    )


def _scenario(path: Path) -> Scenario:
    from vma.simulator.scenario_file import BadScenarioError, read_scenario  # noqa: PLC0415 - YAML is for scenarios only

    try:
        return read_scenario(path)
    except BadScenarioError as error:
        raise SystemExit(str(error)) from error


def _speed(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a speed: a number above 0 is needed")
    return value


if __name__ == "__main__":
    main()
