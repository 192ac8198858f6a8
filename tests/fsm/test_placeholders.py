"""Placeholders in documents: filled in place, left alone where they are only shown, refused with file and line."""

from pathlib import Path

import pytest

from fsm.render.ascii import outline
from fsm.render.dot import dot
from fsm.render.formats import FORMATS, Format
from fsm.render.mermaid import mermaid
from fsm.render.placeholders import PlaceholderError, fill, pictures
from fsm.render.table import table
from fsm.render.views import view

OPEN, END = "<!-- oma-fsm:diagram view=happy{} -->\n", "<!-- oma-fsm:end -->\n"


def markdown(options: str = "", between: str = "") -> str:
    return f"# Title\n\n{OPEN.format(options)}{between}{END}\nMore.\n"


@pytest.mark.parametrize("between", ["", "old text\n", "```mermaid\nstale\n```\n", "```text\nnever closed\n"])
def test_whatever_stands_between_the_marks_is_replaced_and_nothing_else(between: str) -> None:
    shown = f"```mermaid\n{mermaid(view('happy'))}```\n"
    assert fill(markdown(between=between)) == markdown(between=shown)


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("mermaid", f"```mermaid\n{mermaid(view('happy'))}```\n"),
        ("dot", f"```dot\n{dot(view('happy'))}```\n"),
        ("ascii", f"```text\n{outline(view('happy'))}```\n"),
        ("table", f"\n{table(view('happy'))}\n"),
    ],
)
def test_each_format_stands_in_markdown_as_it_is_written_there(form: str, shown: str) -> None:
    filled = fill(markdown(f" format={form}"))
    assert filled == markdown(f" format={form}", shown)
    assert fill(filled) == filled


def test_a_placeholder_in_restructured_text_becomes_a_directive() -> None:
    text = "Title\n=====\n\n.. oma-fsm:diagram view=state:failed format=dot\n.. oma-fsm:end\n\nMore.\n"
    lines = fill(text).splitlines()
    assert lines[3:9] == [
        ".. oma-fsm:diagram view=state:failed format=dot", "", ".. graphviz::", "", '   digraph "state:failed" {',
        lines[8],
    ]  # fmt: skip
    assert lines[-4:] == ["", ".. oma-fsm:end", "", "More."]
    assert fill(fill(text)) == fill(text)


def test_a_docstring_keeps_its_indentation_and_stays_python() -> None:
    text = 'def f():\n    """How it goes.\n\n    .. oma-fsm:diagram view=happy\n    .. oma-fsm:end\n    """\n'
    filled = fill(text, "a.py")
    scope: dict[str, object] = {}
    exec(filled, scope)  # noqa: S102 # a module as an embedder would import it
    assert "\n    .. mermaid::\n\n       ---\n       title:" in filled
    assert mermaid(view("happy")).splitlines()[-1].strip() in (scope["f"].__doc__ or "")


def test_a_diagram_with_backslashes_is_refused_in_a_docstring() -> None:
    with pytest.raises(PlaceholderError, match=r"^a\.py:1: format=dot of this view has backslashes"):
        fill(OPEN.format(" format=dot") + END, "a.py")


def test_several_placeholders_are_filled_each_with_its_own_view() -> None:
    text = markdown() + markdown().replace("view=happy", "view=operator")
    filled = fill(text)
    assert mermaid(view("happy")) in filled
    assert mermaid(view("operator")) in filled
    assert filled.count("More.") == 2


def test_line_ends_of_the_document_are_kept() -> None:
    filled = fill(markdown().replace("\n", "\r\n"))
    assert filled == fill(markdown()).replace("\n", "\r\n")


def test_a_document_that_only_shows_a_placeholder_is_left_alone() -> None:
    shown = (
        f"Use it so:\n\n````\n```\n{OPEN.format('')}```\n````\n\nor write `<!-- oma-fsm:diagram view=x -->` there.\n"
    )
    assert fill(shown) == shown
    assert fill(shown + markdown()) == shown + fill(markdown())


def test_a_picture_is_a_file_that_the_document_points_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "svg", Format(lambda d: f"<{d.name}>", ".svg", "image/svg+xml", picture=True))
    text = markdown(" format=svg file=img/happy.svg")
    assert "\n![A replication job: the happy path. From its creation to a confirmed completion, if all goes well.]" \
        "(img/happy.svg)\n" in fill(text)  # fmt: skip
    assert pictures(text) == {"img/happy.svg": b"<happy>"}
    rest = ".. oma-fsm:diagram view=happy format=svg file=img/happy.svg\n.. oma-fsm:end\n"
    assert ".. image:: img/happy.svg\n   :alt: A replication job" in fill(rest)
    with pytest.raises(PlaceholderError, match="format=svg needs file="):
        fill(markdown(" format=svg"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"\n{OPEN.format('')}\n", r"a.md:2: no end: add a line `<!-- oma-fsm:end -->` where the diagram shall end"),
        (f"{OPEN.format('')}\n{OPEN.format('')}{END}", r"a.md:1: no end before the next placeholder in line 3"),
        (f"x\n{END}", "a.md:2: an end without a placeholder before it"),
        (f"<!-- oma-fsm:diagramm view=happy -->\n{END}", "a.md:1: oma-fsm:diagramm means nothing; known: diagram, end"),
        (f"<!-- oma-fsm:diagram -->\n{END}", "a.md:1: which view"),
        (markdown(" format=pdf"), "a.md:3: no format 'pdf'; known are mermaid, dot"),
        (f"<!-- oma-fsm:diagram view=sad -->\n{END}", "a.md:1: no view 'sad'; known are machine, happy"),
        (markdown(" colour=red"), r"a.md:3: 'colour=red': expected view=…, format=… or file=…"),
        (markdown(" file=x.svg"), r"a.md:3: format=mermaid has no file="),
        (".. oma-fsm:diagram view=happy\n", r"a.md:1: no end: add a line `.. oma-fsm:end`"),
        (".. oma-fsm:diagram view=happy format=table\n.. oma-fsm:end\n", "a.md:1: format=table is Markdown"),
    ],
)
def test_what_cannot_be_filled_is_refused_with_file_and_line(text: str, why: str) -> None:
    with pytest.raises(PlaceholderError) as refused:
        fill(text, "a.md")
    assert why in str(refused.value)


def test_three_lines_of_python_are_enough(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(markdown(), encoding="utf-8")
    page.write_text(fill(page.read_text(encoding="utf-8"), page.name), encoding="utf-8")
    assert mermaid(view("happy")) in page.read_text(encoding="utf-8")
