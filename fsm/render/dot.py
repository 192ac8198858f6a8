"""A diagram as Graphviz text. Drawn light; an inferred end is dashed, a refused attempt dotted."""

from collections.abc import Iterator
from itertools import pairwise
from textwrap import wrap
from typing import Final

from fsm.render.model import Arrow, Caption, Diagram, Group, Node, Role, Tone
from fsm.render.nesting import members, sections, unnested

WIDTH: Final = 46  # characters of a line on an arrow
_FILLS: Final = {Role.SETUP: "#e8eef7", Role.ACTIVE: "#dff3e4", Role.ENDED: "#ececec"}
_LIT: Final = "#ffd54a"
_BOXES: Final = ((255, 243, 224), (224, 102, 102))  # from cold to hot, red, green and blue
_LINES: Final = ((201, 150, 92), (192, 28, 28))
_STYLES: Final = {
    Tone.PLAIN: "",
    Tone.CONFIRMED: "penwidth=1.8",
    Tone.INFERRED: 'style=dashed color="#a05a00" fontcolor="#7a4400"',
    Tone.MANUAL: 'color="#6a3fa0" fontcolor="#55307f"',
    Tone.REVIVED: 'color="#1d6fa5" fontcolor="#165680"',
    Tone.REFUSED: 'style=dotted color="#b3261e" fontcolor="#b3261e"',
}
_HEAD: Final = """\
    graph [compound=true newrank=true fontname="Helvetica" fontsize=12 labelloc=t rankdir=TB nodesep=0.5 ranksep=0.6];
    node [shape=box style="rounded,filled" fontname="Helvetica" fontsize=12 color="#444444"];
    edge [fontname="Helvetica" fontsize=10 color="#333333"];
"""


def dot(diagram: Diagram) -> str:
    """Text for Graphviz 2.40 and later."""
    lines = [
        f"digraph {quoted(diagram.name)} {{",
        _HEAD.rstrip("\n"),
        f"    label={quoted(diagram.title)} tooltip={quoted(diagram.description)};",
        *sections(diagram, _opened, _node, _closed),
        *_in_order(diagram),
        *(_arrow(arrow, diagram) for arrow in unnested(diagram)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _in_order(diagram: Diagram) -> Iterator[str]:
    """States one below the other in the order of a job's life: labels of arrows within a row would overlap."""
    for above, below in pairwise(diagram.nodes):
        yield f"    {quoted(above.id)} -> {quoted(below.id)} [style=invis];"


def quoted(*lines: str, end: str = "\\n") -> str:
    """A string of Graphviz without escapes of its own; each line ends in `end` (`\\n`: centred, `\\l`: to the left)."""
    shown = [line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;").replace("\n", end) for line in lines]
    return f'"{end.join(shown)}{end if end == chr(92) + "l" and shown else ""}"'


# --- states ------------------------------------------------------------------------------------------


def _opened(group: Group, depth: int) -> list[str]:
    indent = "    " * (depth + 1)
    look = f'label={quoted(group.label)} labeljust=l style="rounded" color="#9aa5b1"'
    return [f"{indent}subgraph {quoted('cluster_' + group.id)} {{", f"{indent}    graph [{look}];"]


def _closed(_group: Group, depth: int) -> list[str]:
    return ["    " * (depth + 1) + "}"]


def _node(node: Node, depth: int) -> list[str]:
    indent = "    " * (depth + 1)
    if node.role is Role.BIRTH:
        return [f'{indent}{quoted(node.id)} [shape=circle label="" width=0.18 fillcolor="#333333"];']
    inner = [line for caption in node.inner for line in _folded(_caption(caption), width=2 * WIDTH)]
    label = quoted(node.label, *node.lines)
    if inner:  # a line left blank between the name and what happens in the state
        label = f'"{label[1:-1]}\\n\\n{quoted(*inner, end=chr(92) + "l")[1:-1]}"'
    edge = " peripheries=2" if node.role is Role.ENDED else ""
    pen = " penwidth=3" if node.lit else ""
    return [f'{indent}{quoted(node.id)} [label={label} fillcolor="{_fill(node)}"{edge}{pen}];']


def _fill(node: Node) -> str:
    if node.lit:
        return _LIT
    return _FILLS[node.role] if node.heat is None else _warm(node.heat, *_BOXES)


def _warm(heat: float, cold: tuple[int, ...], hot: tuple[int, ...]) -> str:
    return "#" + "".join(f"{round(c + (h - c) * heat):02x}" for c, h in zip(cold, hot, strict=True))


# --- arrows ------------------------------------------------------------------------------------------


def _arrow(arrow: Arrow, diagram: Diagram) -> str:
    within = members(diagram, arrow.source)
    source = within[-1] if within else arrow.source
    tail = f" ltail={quoted('cluster_' + arrow.source)}" if within else ""
    look = _STYLES[arrow.tone]
    if arrow.heat is not None:
        look = f'{look} penwidth={1 + 4 * arrow.heat:.1f} color="{_warm(arrow.heat, *_LINES)}"'
    label = quoted(*_label(arrow, brief=diagram.brief), end="\\l")
    return f"    {quoted(source)} -> {quoted(arrow.target)} [label={label}{tail} {look}".rstrip() + "];"


def _label(arrow: Arrow, *, brief: bool) -> Iterator[str]:
    number = "" if arrow.number is None else f"{arrow.number} "
    captions = [", ".join(dict.fromkeys(c.event for c in arrow.captions))] if brief else map(_caption, arrow.captions)
    said = [*captions, *([arrow.note] if arrow.note else [])]
    for n, text in enumerate(said):
        yield from _folded(number + text if n == 0 else text)


def _folded(text: str, width: int = WIDTH) -> list[str]:
    return wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)


def _caption(caption: Caption) -> str:
    guards = f" [{' and '.join(caption.guards)}]" if caption.guards else ""
    effects = f" / {', '.join(caption.effects)}" if caption.effects else ""
    return f"{caption.event}{f' ({caption.outcome})' if caption.outcome else ''}{guards}{effects}"
