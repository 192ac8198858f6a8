"""The picture as SVG text."""

import re
from collections.abc import Iterable, Iterator

from fsm.render.model import Arrow, Diagram, Node, Role
from fsm.render.svg import labels as write
from fsm.render.svg import shapes
from fsm.render.svg.horizontal import MARGIN, PAGE
from fsm.render.svg.labels import Label
from fsm.render.svg.layout import Box, Layout, Way, lay_out
from fsm.render.svg.legend import legend
from fsm.render.svg.text import Line, Run, Style, short
from fsm.render.svg.theme import HOTTEST, Theme, stylesheet

_FRAME_HEAD = 18.0  # px, from the top of a group to the base of its name


def svg(diagram: Diagram, theme: Theme = "auto") -> str:
    """The diagram as an SVG document of at least 1000 px; the same bytes for the same diagram.

    "auto" follows the reader's preference for light or dark; the other themes suit programs that know no CSS variables.
    Its ids begin with the diagram's name and the theme: diagrams in one page need different names.
    Raises ValueError if an arrow or a group names what the diagram does not have.
    """
    laid = lay_out(diagram)
    scope = _scope(f"{diagram.name}-{theme}" if theme != "auto" else diagram.name)
    wide = max(PAGE, laid.width + 2 * MARGIN)
    head = write.paragraph([(diagram.title, Style.TITLE), (diagram.description, Style.ABOUT)], wide - 2 * MARGIN)
    top = MARGIN + head.height + 20
    keys, keys_height = legend(diagram, MARGIN, top + laid.height + 34, wide - 2 * MARGIN)
    tall = top + laid.height + (34 + keys_height if keys else 0) + MARGIN
    body = _body(laid)
    shift = f"translate({shapes.number((wide - laid.width) / 2)} {shapes.number(top)})"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" id="{scope}" viewBox="0 0 {shapes.number(wide)}'
            f' {shapes.number(tall)}" width="100%" style="max-width:{shapes.number(wide)}px" role="img"'
            f' aria-labelledby="{scope}-title {scope}-desc">',
            f'<title id="{scope}-title">{shapes.quoted(diagram.title)}</title>',
            f'<desc id="{scope}-desc">{shapes.quoted(diagram.description)}</desc>',
            f"<style>\n{stylesheet(scope, theme)}\n</style>",
            shapes.rect(Box(0, 0, wide, tall), "paper", rx=8.0),
            *shapes.block(head, Box(MARGIN, MARGIN, head.width, head.height)),
            f'<g transform="{shift}">',
            *body,
            "</g>",
            *keys,
            "</svg>\n",
        ]
    )


def _scope(name: str) -> str:
    return "oma-" + (re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower() or "diagram")


def _body(laid: Layout) -> Iterator[str]:
    outer_first = sorted(laid.groups, key=laid.plan.tree.depth)
    yield from (_frame(laid, name) for name in outer_first)
    yield from (_node(laid.plan.tree.nodes[n], laid.nodes[n], laid.texts[n]) for n in laid.nodes)
    for i, (arrow, way, label) in enumerate(zip(laid.plan.diagram.arrows, laid.ways, laid.labels, strict=True)):
        yield _arrow(i, arrow, way, label, from_group=arrow.source in laid.groups)


def _frame(laid: Layout, name: str) -> str:
    box, label = laid.groups[name], laid.plan.tree.groups[name].label
    deep = " deep" if laid.plan.tree.depth(name) else ""
    room = min(box.width, _spine_x(laid, name) - box.x) - 16
    text = Line((Run(short(label, Style.GROUP, room), Style.GROUP),))
    head = shapes.words(text, box.x + 10, box.y + 5)
    return shapes.group("place", [shapes.rect(box, f"frame{deep}", rx=12.0), head], label, group=name)


def _spine_x(laid: Layout, group: str) -> float:
    """The leftmost spine that passes the head of a group; infinitely far if there is none."""
    box = laid.groups[group]
    xs = (w.points[0][0] for w in laid.ways if len(w.points) == 2 and w.points[0][0] == w.points[1][0])
    return min((x for x in xs if box.x < x < box.right), default=float("inf"))


def _node(node: Node, box: Box, text: Label) -> str:
    data = {"node": node.id}
    if node.role is Role.BIRTH:
        radius = min(box.width, box.height) / 2
        return shapes.group("place", [shapes.rect(box, "birth", rx=radius)], node.label or node.id, **data)
    return shapes.group("place", [*_box(node, box), *_text(node, box, text)], node.label, **data)


def _box(node: Node, box: Box) -> Iterator[str]:
    marks = (" hot" if node.heat is not None else "") + (" lit" if node.lit else "")
    if node.lit:
        yield shapes.rect(box, "halo", rx=11.0, inset=-4.0)
    yield shapes.rect(box, f"box {node.role}{marks}", rx=8.0)
    if node.heat is not None:
        yield shapes.rect(box, "heat", rx=8.0, fill_opacity=f"{min(max(node.heat, 0), 1) * HOTTEST:.2f}")
    if node.role is Role.ENDED:
        yield shapes.rect(box, "rim", rx=5.0, inset=4.0)


def _text(node: Node, box: Box, text: Label) -> Iterator[str]:
    top = box.y + (box.height - text.height) / 2
    if not node.inner:
        yield from shapes.block(text, Box(box.x, top, box.width, text.height), middle=True)
        return
    names = [(y, line) for y, line in text.lines if line.runs[0].style in (Style.NAME, Style.LINE)]
    for y, line in names:
        yield shapes.words(line, box.x + box.width / 2, top + y, middle=True)
    for y, line in text.lines[len(names) :]:
        yield shapes.words(line, box.x + 15, top + y)
    yield shapes.rule(box.x + 15, box.right - 15, top + text.lines[len(names)][0] - 4)


def _arrow(i: int, arrow: Arrow, way: Way, label: Label, *, from_group: bool) -> str:
    glow = [shapes.glow(way.points, min(arrow.heat, 1))] if arrow.heat and arrow.heat > 0 else []
    parts = [*glow, *shapes.way(way.points)]
    if from_group:
        parts.append(shapes.dot(way.points[0]))
    parts.append(shapes.group("label", [*_badge(label, way.label), *shapes.block(label, way.label)]))
    edges = " ".join(dict.fromkeys(caption.edge for caption in arrow.captions))
    data = {"source": arrow.source, "target": arrow.target, "tone": str(arrow.tone), "edges": edges}
    return shapes.group(f"arrow {arrow.tone}", parts, _title(arrow), arrow=str(i), **data)


def _title(arrow: Arrow) -> str:
    said = "; ".join(filter(None, (*(c.event for c in arrow.captions), arrow.note)))
    step = f"{arrow.number}. " if arrow.number is not None else ""
    return f"{step}{arrow.source} to {arrow.target}, {arrow.tone}: {said}"


def _badge(label: Label, box: Box) -> Iterable[str]:
    if label.number is None:
        return
    wide = write.badge(label.number)
    yield shapes.rect(Box(box.x, box.y - 0.5, wide, 17), "head", rx=8.5)
    yield f"<text{shapes.attributes(class_='step', x=box.x + wide / 2, y=box.y + 11.7)}>{label.number}</text>"
