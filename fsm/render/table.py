"""A diagram as Markdown tables: its arrows, and its states where something is said of them."""

from collections.abc import Iterable, Iterator

from fsm.render.model import Arrow, Caption, Diagram, Node, Role, Tone

_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", "\n": "<br>", "*": "\\*", "`": "\\`", "[": "\\[", "]": "\\]"})


def table(diagram: Diagram) -> str:
    """The description, then the tables."""
    rows = [*_arrows(diagram), *_inner(diagram)]
    parts = [_escaped(diagram.description) + "\n"]
    if any(node.lines or node.lit for node in diagram.nodes):
        parts.append(markdown_table(("state", "is", ""), map(_state, _states(diagram))))
    if rows:
        parts.append(markdown_table(*_without_empty(rows)))
    return "\n".join(parts)


def markdown_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Cells are Markdown, but for their bars."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


_HEAD = ("no.", "from", "event", "guards", "to", "end", "effects", "said", "edge")


def _without_empty(rows: list[tuple[str, ...]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The table without the columns that no row fills."""
    kept = [n for n in range(len(_HEAD)) if any(row[n] for row in rows)]
    return tuple(_HEAD[n] for n in kept), [tuple(row[n] for n in kept) for row in rows]


def _arrows(diagram: Diagram) -> Iterator[tuple[str, ...]]:
    names = {node.id: _name(node) for node in diagram.nodes} | {
        group.id: f"{_code(group.label)} (any)" for group in diagram.groups
    }
    for arrow in diagram.arrows:
        for caption in arrow.captions:
            yield _row(arrow, caption, names)


def _row(arrow: Arrow, caption: Caption, names: dict[str, str]) -> tuple[str, ...]:
    number = "" if arrow.number is None else str(arrow.number)
    end = "" if arrow.tone is Tone.PLAIN else arrow.tone.value
    said = _escaped(arrow.note or "")
    return number, names[arrow.source], *_said(caption, names[arrow.target], end, said)


def _inner(diagram: Diagram) -> Iterator[tuple[str, ...]]:
    for node in diagram.nodes:
        for caption in node.inner:
            yield "", _name(node), *_said(caption, caption.outcome, "", "")


def _said(caption: Caption, to: str, end: str, said: str) -> tuple[str, ...]:
    guards, effects = _escaped("; ".join(caption.guards)), _escaped(", ".join(caption.effects))
    return _code(caption.event), guards, to, end, effects, said, _code(caption.edge)


def _states(diagram: Diagram) -> Iterator[Node]:
    return (node for node in diagram.nodes if node.role is not Role.BIRTH)


def _state(node: Node) -> tuple[str, ...]:
    now = ["now"] if node.lit else []
    return _name(node), node.role.value, _escaped("; ".join((*now, *node.lines)))


def _name(node: Node) -> str:
    return "(new)" if node.role is Role.BIRTH else _code(node.label)


def _code(name: str) -> str:
    """In backticks, which no name of ours has in it."""
    return f"`{name.replace('`', '')}`" if name else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").translate(_HTML)
