"""A diagram as a Mermaid state diagram. Mermaid cannot style a state diagram's arrows: their tone is a word on them."""

import json
import re
from collections.abc import Iterator
from typing import Final

from fsm.render.model import Arrow, Caption, Diagram, Group, Node, Role, Tone
from fsm.render.nesting import sections, unnested

BREAK: Final = "<br/>"
# Fills with a text colour of their own can be read on a light page and on a dark one.
_HEAT: Final = ("#fff3e0", "#ffd9b0", "#ffb27a", "#f4845f", "#e06666")
_STYLES: Final = {
    "is_setup": "fill:#e8eef7,stroke:#5b7db1,color:#16263d",
    "is_active": "fill:#dff3e4,stroke:#3c8d54,color:#10301b",
    "is_ended": "fill:#ececec,stroke:#444444,color:#1a1a1a,stroke-width:3px",
    "is_now": "fill:#ffd54a,stroke:#8a6100,color:#2b1f00,stroke-width:4px",
    **{f"heat{n}": f"fill:{fill},stroke:#444444,color:#1a1a1a" for n, fill in enumerate(_HEAT)},
}
# What Mermaid reads even within a label: a direction, emphasis, the kinds of a state, the beginning of a list.
_READ: Final = re.compile(
    r"(?<=direction)\s|(?<!\w)_|_(?!\w)|\[(?=\[)|^\s*([-+=>]|\d+[.)])", re.IGNORECASE | re.MULTILINE
)
_FORMULA: Final = re.compile(r"(?<=\$)(?=\$)")
_JOINER: Final = "\N{WORD JOINER}"  # unseen; keeps two dollars from opening a formula
_SAFE: Final = frozenset(" _.,()[]=>!?/+-'…")


def mermaid(diagram: Diagram) -> str:
    """Text for Mermaid 10 and later."""
    lines = [
        "---",
        f"title: {json.dumps(diagram.title, ensure_ascii=False)}",
        "---",
        "stateDiagram-v2",
        f"    accTitle: {_plain(diagram.title)}",
        f"    accDescr: {_plain(diagram.description)}",
        *_classes(diagram),
        *sections(diagram, _opened, _node, _closed),
        *_arrows(diagram),
        *_members(diagram),
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text that Mermaid shows as it is: all that it might read as its own is a numbered entity."""
    text = _FORMULA.sub(_JOINER, text)
    read = {n for found in _READ.finditer(text) for n in range(*found.span())}
    return "".join(BREAK if c == "\n" else _entity(c) if n in read or not _safe(c) else c for n, c in enumerate(text))


def _safe(character: str) -> bool:
    return character.isalnum() or character in _SAFE


def _entity(character: str) -> str:
    return f"#{ord(character)};"


def _plain(text: str) -> str:
    """For the two lines of which Mermaid decodes no entities."""
    return re.sub(
        r"(?i)direction ", "direction-", " ".join(text.translate(dict.fromkeys(map(ord, ";#%{}<>"), " ")).split())
    )


# --- states ------------------------------------------------------------------------------------------


def _opened(group: Group, depth: int) -> list[str]:
    name = escaped(group.label)
    return [f"{_indent(depth)}state " + (group.id if name == group.id else f'"{name}" as {group.id}') + " {"]


def _closed(_group: Group, depth: int) -> list[str]:
    return [f"{_indent(depth)}}}"]


def _node(node: Node, depth: int) -> list[str]:
    if node.role is Role.BIRTH:
        return []
    name = BREAK.join(map(escaped, (node.label, *node.lines)))
    said = [f"{_indent(depth)}{node.id} : {escaped(_caption(c))}" for c in node.inner]
    declared = node.id if name == node.id else f'state "{name}" as {node.id}'
    return [f"{_indent(depth)}{declared}", *said]


def _indent(depth: int) -> str:
    return "    " * (depth + 1)


def _classes(diagram: Diagram) -> list[str]:
    used = {_class(node) for node in diagram.nodes if node.role is not Role.BIRTH}
    return [f"    classDef {name} {style}" for name, style in _STYLES.items() if name in used]


def _members(diagram: Diagram) -> Iterator[str]:
    for name in _STYLES:
        found = [node.id for node in diagram.nodes if node.role is not Role.BIRTH and _class(node) == name]
        if found:
            yield f"    class {','.join(found)} {name}"


def _class(node: Node) -> str:
    if node.lit:
        return "is_now"
    if node.heat is not None:
        return f"heat{min(int(node.heat * len(_HEAT)), len(_HEAT) - 1)}"
    return f"is_{node.role}"


# --- arrows ------------------------------------------------------------------------------------------


def _arrows(diagram: Diagram) -> Iterator[str]:
    """One line for all arrows between the same two: of several loops at one state Mermaid draws only one."""
    labels: dict[tuple[str, str], list[str]] = {}
    for arrow in unnested(diagram):
        labels.setdefault((arrow.source, arrow.target), []).append(_label(arrow, brief=diagram.brief))
    births = {node.id for node in diagram.nodes if node.role is Role.BIRTH}
    for (source, target), said in labels.items():
        yield f"    {'[*]' if source in births else source} --> {target} : {BREAK.join(said)}"


def _label(arrow: Arrow, *, brief: bool) -> str:
    number = "" if arrow.number is None else f"{arrow.number} "
    tone = "" if arrow.tone is Tone.PLAIN else f" ({arrow.tone})"
    note = [] if arrow.note is None else [escaped(arrow.note)]
    if brief:
        said = [", ".join(dict.fromkeys(c.event for c in arrow.captions)) + tone]
    else:
        said = [_caption(c, tone) for c in arrow.captions]
    return number + BREAK.join((*map(escaped, said), *note))


def _caption(caption: Caption, tone: str = "") -> str:
    guards = f" [{' and '.join(caption.guards)}]" if caption.guards else ""
    effects = f" / {', '.join(caption.effects)}" if caption.effects else ""
    outcome = f" ({caption.outcome})" if caption.outcome else ""
    return f"{caption.event}{tone}{outcome}{guards}{effects}"
