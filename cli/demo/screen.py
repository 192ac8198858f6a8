"""The live picture: a row per job, what the VMA does, what was decided and why."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.demo.cast import Actor

_STYLE = {"completed": "green", "failed": "red", "replicating": "cyan"}


@dataclass(slots=True)
class Line:
    """What is known of one actor's job."""

    actor: Actor
    job_id: str = ""
    job: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    on_vma: str = ""

    @property
    def ended_right(self) -> bool:
        """True once the job came to the end that it must come to."""
        reason = self.actor.reason is None or self.job.get("error_message") == self.actor.reason
        return (self.job.get("status"), self.job.get("ending")) == (self.actor.state, self.actor.ending) and reason


class Screen:
    """Draws the lines; on a terminal live, elsewhere once per act."""

    def __init__(self, console: Console, lines: Sequence[Line]) -> None:
        self._console, self._lines = console, lines
        self._act = ""
        self._live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None

    def start(self) -> None:
        """Begin to draw."""
        if self._live is not None:
            self._live.start()

    def stop(self) -> None:
        """Stop drawing and leave the last picture."""
        if self._live is not None:
            self._live.stop()
        self._console.print(self._picture())

    def act(self, title: str) -> None:
        """Begin an act; its title stays in the terminal's history."""
        self._act = title
        self._console.print(Text(title, style="bold"))
        if self._live is None and any(line.job for line in self._lines):
            self._console.print(self._picture())
        self.draw()

    def draw(self) -> None:
        """Draw the present state."""
        if self._live is not None:
            self._live.update(Group(self._picture(), Text(self._act, style="dim")))

    def _picture(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("VM", "disks", "copy", "state", "", "%"):
            table.add_column(name, no_wrap=True)
        table.add_column("last decision, its rule, who asked, why", overflow="fold")
        for line in self._lines:
            table.add_row(*_row(line))
        return table


def _row(line: Line) -> list[Any]:
    percent = float(line.job.get("progress_percent") or 0.0)
    state = line.job.get("status", "")
    ending = f" ({line.job['ending']})" if line.job.get("ending") else ""
    return [
        line.actor.name,
        str(len(line.actor.gib)),
        line.on_vma or "not started",
        Text(state + ending, style=_STYLE.get(state, "yellow")),
        ProgressBar(total=100, completed=percent, width=16),
        f"{percent:5.1f}",
        _decision(line.last),
    ]


def _decision(last: dict[str, Any]) -> str:
    if not last:
        return ""
    why = f": {last['reason']}" if last.get("reason") else ""
    return f"{last['event']} (rule {last['edge']}, {last['asked_by']}){why}"
