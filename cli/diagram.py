"""oma-fsm diagram: the machine's picture, made from the specification."""

from cli.generated import Check, File, deliver
from fsm.render.mermaid import mermaid


def diagram(file: File = None, check: Check = False) -> None:
    """The state machine as a Mermaid diagram."""
    deliver(mermaid(), file, check=check, command="oma-fsm diagram")
