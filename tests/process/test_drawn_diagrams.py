"""Mermaid and Graphviz themselves draw what we give them: every state, every arrow, and every label as it was meant."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pictures import Seen, graphviz_draws, mermaid_draws, no_programs

from fsm.render.build import BIRTH
from fsm.render.dot import dot
from fsm.render.fleet import Traffic, fleet
from fsm.render.mermaid import mermaid
from fsm.render.model import Arrow, Caption, Diagram, Node, Role, Tone
from fsm.render.nesting import members, unnested
from fsm.render.path import Attempt, Step, path
from fsm.render.views import names, view

pytestmark = pytest.mark.skipif(bool(no_programs()), reason="the run says which programs are missing")

DIAGRAMS = Path(__file__).parents[2] / "diagrams"
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NASTY = (
    "a:b; c<d> e\"f' #g; |h| \\n i {j} %%k%% --> l `m` *n* _o_ [p] <br/> &amp; $$q$$ <script>x</script>",
    "%%{init: {'theme':'dark'}}%% 1. list - item # head state x {",
    "note end note ::: classDef z style a:#b; <<fork>> [*] --> direction LR",
    "Grüße, 東京 — “quoted” 100 % >= 3 …",
)


WAYS = (
    ("initializing", "failed"),
    ("failed", "replicating"),
    ("replicating", "completed"),
    ("completed", "failed"),
)
# Each means something to Mermaid's own reader, or to the Markdown, the icons and the formulas in its labels.
WORDS = (
    "direction LR", "DIRECTION\tTB x", "- list", "+ list", "= line", "> quote", "1. list", "1) list", "* list",
    "# head", "_a_", "__a__", "*a*", "**a**", "`a`", "~~a~~", "[a](b)", "![a](b)", "fa:fa-user", "$$a$$", "$$ a & b",
    "[[fork]]", "<<choice>>", "[*]", "--> x", "--", "%% x", "%%{init: {}}%%", ":::x", "a::b", "#35;", "#quot;",
    "&lt;", "&amp;#38;", "<b>", "<br>", "\\n", "\\u0041", "state x {", "}", "note left of one", "end note",
    "class one x", "click one", "http://a.b", "$$ + < -- $$x$$ of",
)  # fmt: skip


def nasty_path() -> Diagram:
    """Every nasty text as the reason of a move, and of a refused attempt."""
    steps = [Step(None, "initializing", "create", "create", "workflow", NOON)]
    for n, reason in enumerate(NASTY):
        ways = (
            ("initializing", "failed"),
            ("failed", "replicating"),
            ("replicating", "completed"),
            ("completed", "failed"),
        )
        at = NOON + timedelta(minutes=n + 1)
        steps.append(Step(*ways[n], "fail", "operator_fails", "operator", at, actor="o'neil", reason=reason))
    refused = [Attempt("failed", "reopen", "operator", reason, NOON, "eve") for reason in NASTY[:1]]
    return path("job-1", steps, NOON + timedelta(hours=1), attempts=refused)


def whole_fleet() -> Diagram:
    """Jobs everywhere, and failures."""
    traffic = [
        Traffic(None, "initializing", "create", "create", None, 9),
        Traffic("replicating", "failed", "x", "lost", "inferred", 4),
    ]
    return fleet({"replicating": 3}, {"attaching": [timedelta(minutes=3)]}, traffic)


OTHERS = {"path": nasty_path(), "fleet": whole_fleet()}
ALL = {name: view(name) for name in names()} | OTHERS


@pytest.fixture(scope="module")
def drawn() -> dict[str, Seen]:
    """All pictures, drawn by one browser: of the views the committed files, of jobs what is made now."""
    texts = {name: (DIAGRAMS / f"{name.replace(':', '-')}.mmd").read_text(encoding="utf-8") for name in names()}
    texts |= {name: mermaid(diagram) for name, diagram in OTHERS.items()}
    return dict(zip(texts, mermaid_draws(list(texts.values())), strict=True))


@pytest.mark.parametrize("name", ALL)
def test_mermaid_draws_every_state_group_and_arrow(drawn: dict[str, Seen], name: str) -> None:
    seen, diagram = drawn[name], ALL[name]
    assert seen.error is None
    ways = {(a.source, a.target) for a in unnested(diagram)}
    assert (seen.nodes, seen.groups, seen.arrows) == (len(diagram.nodes), len(diagram.groups), len(ways))
    assert all(node.label in seen.text for node in diagram.nodes)


@pytest.mark.parametrize("name", ALL)
def test_mermaid_shows_every_event_that_is_on_an_arrow(drawn: dict[str, Seen], name: str) -> None:
    said = " ".join(drawn[name].labels)
    assert all(caption.event in said for arrow in ALL[name].arrows for caption in arrow.captions)


def test_mermaid_shows_nasty_labels_as_they_are(drawn: dict[str, Seen]) -> None:
    said = _blanks(" ".join(drawn["path"].labels))
    for arrow in OTHERS["path"].arrows:
        assert arrow.note is not None
        assert _blanks(arrow.note) in said
    assert drawn["path"].scripts == 0
    assert "Unsupported markdown" not in drawn["path"].text


def test_mermaid_shows_every_word_of_its_own_as_a_word() -> None:
    """On the arrow, at its beginning and further on, and as the state's name."""
    for word, seen in zip(WORDS, mermaid_draws([mermaid(_says(word)) for word in WORDS]), strict=True):
        assert seen.error is None, word
        assert (seen.nodes, seen.arrows, seen.scripts) == (2, 1, 0), word
        said = _blanks(word)
        assert _blanks(" ".join(seen.labels)) == f"{said} / {said} {said}", word
        assert f"{said}{said}" in _blanks(seen.text), word


def _says(word: str) -> Diagram:
    nodes = (Node("one", word, Role.ACTIVE, lines=(word,)), Node("two", "two", Role.ENDED))
    arrow = Arrow("one", "two", Tone.PLAIN, (Caption(word, "edge", effects=(word,)),), note=word)
    return Diagram("words", word, word, nodes, (arrow,))


def _blanks(text: str) -> str:
    """Without what nobody sees: the size of blanks, and the mark that keeps dollars apart."""
    return " ".join(text.replace("\N{WORD JOINER}", "").split())


def test_mermaid_that_cannot_read_a_text_is_noticed() -> None:
    broken, whole = mermaid_draws(["stateDiagram-v2\n    a -->\n", "stateDiagram-v2\n    a --> b : c\n"])
    assert broken.error is not None
    assert (whole.error, whole.nodes, whole.arrows, whole.labels) == (None, 2, 1, ("c",))


@pytest.mark.parametrize("name", ALL)
def test_graphviz_draws_every_state_group_and_arrow_without_a_complaint(name: str) -> None:
    diagram = ALL[name]
    kept = DIAGRAMS / f"{name.replace(':', '-')}.dot"
    graph = graphviz_draws(dot(diagram) if name in OTHERS else kept.read_text(encoding="utf-8"))
    objects = [o["name"] for o in graph["objects"]]
    assert sorted(objects) == sorted([*(f"cluster_{g.id}" for g in diagram.groups), *(n.id for n in diagram.nodes)])
    assert sorted(_ends(graph)) == sorted((a.source, a.target) for a in unnested(diagram))
    labels = _blanks(" ".join(_shown(e) for e in graph["edges"]))
    for arrow in diagram.arrows:
        assert all(caption.event in labels for caption in arrow.captions)
        assert arrow.note is None or _blanks(arrow.note) in labels


def _ends(graph: dict[str, object]) -> list[tuple[str, str]]:
    """From where to where the visible edges go; one that was cut off at a group leaves from the group."""
    objects, edges = graph["objects"], graph["edges"]
    assert isinstance(objects, list)
    assert isinstance(edges, list)
    name_of = {o["_gvid"]: o["name"] for o in objects}
    visible = [e for e in edges if e.get("style") != "invis"]
    return [(e.get("ltail", name_of[e["tail"]]).removeprefix("cluster_"), name_of[e["head"]]) for e in visible]


def _shown(edge: dict[str, object]) -> str:
    """The text that is really drawn, without the breaks of lines."""
    operations = edge.get("_ldraw_", [])
    assert isinstance(operations, list)
    return " ".join(o["text"] for o in operations if o["op"] == "T")


def test_in_graphviz_an_arrow_from_a_group_really_begins_at_its_border() -> None:
    graph = graphviz_draws((DIAGRAMS / "recovery.dot").read_text(encoding="utf-8"))
    cut = [e for e in graph["edges"] if "ltail" in e]
    groups = [a for a in unnested(view("recovery")) if members(view("recovery"), a.source)]
    assert len(cut) == len(groups) > 0
    boxes = {o["name"]: [float(x) for x in re.split(",", o["bb"])] for o in graph["objects"] if "bb" in o}
    for edge in cut:
        left, bottom, right, top = boxes[edge["ltail"]]
        x, y = (float(n) for n in edge["pos"].split(" ")[1].split(","))
        assert min(abs(x - left), abs(x - right), abs(y - bottom), abs(y - top)) < 2.0
    assert BIRTH not in boxes
