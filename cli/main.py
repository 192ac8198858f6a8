"""The command oma-fsm."""

import os
import sys
from typing import Annotated

import typer

from api.settings import misspelt
from cli import (
    appliances,
    audit,
    audit_polls,
    database,
    diagram,
    doctor,
    jobs,
    polling,
    recovery,
    replicas,
    serve,
    settings,
    spec,
)
from cli.common import complain, fail

app = typer.Typer(
    name="oma-fsm",
    help="Replication jobs as persisted state machines: a restarted OMA finds its running copies again.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(database.app, name="db")
app.add_typer(appliances.app, name="appliances")
app.add_typer(jobs.app, name="jobs")
app.add_typer(spec.app, name="spec")
app.add_typer(audit.app, name="audit")
audit.app.command("polls")(audit_polls.polls)
app.command("serve")(serve.serve)
app.command("settings")(settings.show)
app.command("diagram")(diagram.diagram)
app.command("doctor")(doctor.doctor)
app.command("recover")(recovery.recover)
app.command("polling")(polling.polling)
app.command("replicas")(replicas.replicas)


@app.callback()
def look_at_environment() -> None:
    """A misspelt variable is not read: without a word the service would run on a default."""
    for variable, meant in misspelt(os.environ).items():
        complain(f"{variable} is no setting and is not read; did you mean {meant}?")


@app.command("simulate-vma")
def simulate_vma(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the VMA's API; 0: any free one.")] = 9081,
    control_port: Annotated[int, typer.Option(help="Port of the control API; 0: any free one.")] = 9082,
    state: Annotated[str | None, typer.Option(help="File in which copies survive a kill of the simulator.")] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.01, help="How much faster than real time copies run.", show_default="1")
    ] = None,
    scenario: Annotated[str | None, typer.Option(help="Play this scenario: docs/simulator.md, docs/scenarios.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only print what the scenario does, and when.")] = False,
) -> None:
    """A VMA that behaves as the real one does, with faults on demand."""
    from cli import simulate  # noqa: PLC0415 # a web server is not needed to list jobs

    if scenario is None:
        if check:
            fail("--check needs a --scenario to check")
        simulate.simulate(host, port, control_port, state, speed)
    elif state is not None or speed is not None:
        fail("a scenario says its own pace and restarts: leave --state and --speed out")
    elif check:
        simulate.check(scenario)
    else:
        simulate.play(scenario, host, port, control_port)


@app.command()
def demo(
    keep: Annotated[bool, typer.Option(help="Keep the database and the logs, and say where.")] = False,
) -> None:
    """The main job, live: the OMA is killed in the middle, and every job ends where it must."""
    from cli.demo.play import play  # noqa: PLC0415 # as above

    raise typer.Exit(0 if play(keep=keep) else 1)


def main() -> None:
    """Entry point: an error that an operator can mend is one line, not a traceback."""
    try:
        app()
    except OSError as error:  # no such file, no permission, nobody listens, a full disk
        complain(str(error))  # not `fail`: nobody is left to turn its exception into a status
        sys.exit(2)


if __name__ == "__main__":
    main()
