"""A diagram as an outline for a terminal: every state with what leads out of it."""

from collections.abc import Iterator
from textwrap import wrap
from typing import Final

from fsm.render.model import Arrow, Caption, Diagram, Node, Role, Tone
from fsm.render.nesting import members

WIDTH: Final = 100  # columns
NEW: Final = "(new)"
_SHAFTS: Final = {
    Tone.PLAIN: "-->",
    Tone.CONFIRMED: "==>",
    Tone.INFERRED: "~~>",
    Tone.MANUAL: "-->",
    Tone.REVIVED: "-->",
    Tone.REFUSED: "--x",
}


def outline(diagram: Diagram) -> str:
    """Plain text. `==>` is a confirmed end, `~~>` an inferred one, `--x` a refused attempt; `*` is where the job is.

    The arrows stand below the state that they leave; numbered ones in their order, after all states.
    """
    lines = [*_folded(diagram.title, ""), *_folded(diagram.description, "")]
    steps = sorted((a for a in diagram.arrows if a.number is not None), key=lambda a: a.number or 0)
    for node in diagram.nodes:
        found = [*_state(node), *_leaving(diagram, node.id)]
        lines += ["", *found] if len(found) > 1 or node.lit else []
    for group in diagram.groups:
        name = f"any of {group.label}: {', '.join(members(diagram, group.id))}"
        lines += ["", *_folded(name, ""), *_leaving(diagram, group.id)]
    lines += ["", *(line for arrow in steps for line in _arrow(arrow, diagram))] if steps else []
    return "\n".join(lines) + "\n"


def _state(node: Node) -> Iterator[str]:
    name = node.label or NEW
    role = "" if node.role is Role.BIRTH else f"  ({node.role}{', now' if node.lit else ''})"
    yield f"{'* ' if node.lit else ''}{name}{role}"
    for line in node.lines:
        yield from _folded(line, "    ")
    for caption in node.inner:
        yield from _folded(f"{caption.outcome} at {_caption(caption)}", "    ")


def _leaving(diagram: Diagram, source: str) -> Iterator[str]:
    for arrow in diagram.arrows:
        if arrow.source == source and arrow.number is None:
            yield from _arrow(arrow, diagram)


def _arrow(arrow: Arrow, diagram: Diagram) -> Iterator[str]:
    labels = {node.id: node.label or NEW for node in diagram.nodes}
    step = "" if arrow.number is None else f"{arrow.number}. {labels[arrow.source]} "
    tone = "" if arrow.tone is Tone.PLAIN else f" ({arrow.tone})"
    yield f"    {step}{_SHAFTS[arrow.tone]} {labels[arrow.target]}{tone}"
    for caption in arrow.captions:
        yield from _folded(_caption(caption), "        ")
    if arrow.note:
        yield from _folded(arrow.note, "        ")


def _caption(caption: Caption) -> str:
    guards = f" if {' and '.join(caption.guards)}" if caption.guards else ""
    effects = f" / {', '.join(caption.effects)}" if caption.effects else ""
    return f"{caption.event}{guards}{effects}"


def _folded(text: str, indent: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False)
