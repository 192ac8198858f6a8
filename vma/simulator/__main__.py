"""python -m vma.simulator: the simulator without the rest of the service."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vma.simulator.server import SimulatorConfig, run


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and serve."""
    run(_config(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    default = SimulatorConfig()
    parser = argparse.ArgumentParser(prog="python -m vma.simulator", description="A simulated VMA.")
    parser.add_argument("--host", default=default.host, help="address of both ports")
    parser.add_argument("--port", type=int, default=default.port, help="data API; 0: a free one")
    parser.add_argument("--control-port", type=int, default=default.control_port, help="0: a free one")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep the copies over a kill")
    parser.add_argument("--speed", type=_speed, default=default.speed, help="10: ten times faster")
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
        speed=options.speed,
        clock_offset_s=options.clock_offset,
        utc_offset_min=options.utc_offset,
        stop_with_stdin=options.stop_with_stdin,
    )


def _speed(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a speed: a number above 0 is needed")
    return value


if __name__ == "__main__":
    main()
