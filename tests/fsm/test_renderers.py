"""Renderers: everything a diagram says is in the text, and nothing in a label is taken for syntax."""

import re
from dataclasses import replace

import pytest

from fsm.render.ascii import outline
from fsm.render.dot import dot
from fsm.render.formats import FORMATS, UnknownFormatError, format_by_suffix, format_of
from fsm.render.mermaid import escaped, mermaid
from fsm.render.model import Arrow, Caption, Diagram, Node, Role, Tone
from fsm.render.table import table
from fsm.render.views import names, view

NASTY = 'a:b;c<d>e"f#g|h\ni\\n{j}%%k%% --> l `m` *n* [o] <br/> &amp; $$p$$ __q__'
ALL = [view(name) for name in names()]


def picture(*arrows: Arrow, **node: object) -> Diagram:
    """Two states."""
    first = replace(Node("one", "one", Role.ACTIVE), **node)  # type: ignore[arg-type]
    return Diagram("x", "Title", "About it.", (first, Node("two", "two", Role.ENDED)), arrows)


def arrow(tone: Tone = Tone.PLAIN, event: str = "go", **more: object) -> Arrow:
    return Arrow("one", "two", tone, (Caption(event, "edge"),), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("diagram", ALL, ids=lambda d: d.name)
def test_every_format_names_every_state_and_every_event_on_its_arrows(diagram: Diagram) -> None:
    for name, form in FORMATS.items():
        if name == "png":  # pixels
            continue
        text = form.bytes(diagram).decode()
        for arrow in diagram.arrows:
            assert all(word in text for c in arrow.captions for word in (c.event, arrow.target)), name


@pytest.mark.parametrize("diagram", [d for d in ALL if not d.brief], ids=lambda d: d.name)
def test_every_format_says_guards_and_effects(diagram: Diagram) -> None:
    said = {t for a in diagram.arrows for c in a.captions for t in (*c.guards, *c.effects)}
    said |= {t for n in diagram.nodes for c in n.inner for t in (*c.guards, *c.effects)}
    for name, form in FORMATS.items():
        if form.picture:
            continue
        text = form.bytes(diagram).decode()
        words = _words(re.sub(r"#(\d+);", lambda n: chr(int(n[1])), text).replace("&lt;", "<").replace("\\l", " "))
        for phrase in said:
            assert _words(phrase) in words, (name, phrase)


def _words(text: str) -> str:
    return " ".join(text.replace("\\n", " ").split())


def test_the_whole_machine_has_no_guards_on_its_arrows_where_they_could_not_be_read() -> None:
    assert "[" not in mermaid(view("machine")).replace("[*]", "")
    assert "settle context" not in dot(view("machine"))
    assert "settle context" in table(view("machine"))


# --- labels that look like syntax ------------------------------------------------------------------


def test_mermaid_reads_nothing_in_a_label() -> None:
    line = mermaid(picture(arrow(event=NASTY))).splitlines()[-3]
    label = line.removeprefix("    one --> two : ")
    assert label != line
    assert not set(label.replace("<br/>", "")) & set(':"|{}`*\\$%<&')
    assert re.sub(r"#\d+;", "", label).count(";") == 0
    decoded = re.sub(r"#(\d+);", lambda n: chr(int(n[1])), label.replace("<br/>", "\n"))
    assert decoded.replace("\N{WORD JOINER}", "") == NASTY


def test_in_mermaid_a_break_is_ours_only_where_the_text_has_one() -> None:
    assert escaped("a\nb") == "a<br/>b"
    assert escaped("a<br/>b") == "a#60;br/>b"


def test_mermaid_gets_one_line_for_all_arrows_between_two_states() -> None:
    text = mermaid(picture(arrow(Tone.CONFIRMED, "say"), arrow(Tone.INFERRED, "hush"), arrow(Tone.MANUAL, "do")))
    assert "    one --> two : say (confirmed)<br/>hush (inferred)<br/>do (manual)\n" in text
    assert text.count("-->") == 1


def test_dot_quotes_what_would_end_or_change_a_label() -> None:
    (line,) = [x for x in dot(picture(arrow(event='say "no"\\l & go'))).splitlines() if "style" not in x and "->" in x]
    assert r'[label="say \"no\"\\l &amp; go\l"]' in line


def test_a_table_has_one_row_a_move_whatever_its_texts() -> None:
    text = table(picture(arrow(event="go|on", note=NASTY)))
    rows = [line for line in text.splitlines() if line.startswith("| `one`")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == len(re.findall(r"\|", text.splitlines()[2]))
    assert "&lt;d>" in rows[0]
    assert "<d" not in rows[0]
    assert r"\[o\]" in rows[0], "no link, and no picture from elsewhere"


def test_an_outline_folds_what_is_long_and_keeps_it_below_its_arrow() -> None:
    lines = outline(picture(arrow(event="word " * 60))).splitlines()
    assert max(map(len, lines)) <= 100
    at = next(n for n, line in enumerate(lines) if "--> two" in line)
    assert all(line.startswith("        ") for line in lines[at + 1 : at + 4])


# --- how sure an arrow is, where the job is, how hot ------------------------------------------------


@pytest.mark.parametrize("tone", list(Tone))
def test_every_tone_looks_like_no_other_in_every_format(tone: Tone) -> None:
    for render in (mermaid, dot, outline, table):
        others = {render(picture(arrow(other))) for other in Tone if other is not tone}
        assert render(picture(arrow(tone))) not in others, render


def test_inferred_is_dashed_and_refused_dotted_in_dot() -> None:
    assert "style=dashed" in dot(picture(arrow(Tone.INFERRED)))
    assert "style=dotted" in dot(picture(arrow(Tone.REFUSED)))


def test_an_outline_tells_ends_apart_by_their_arrows() -> None:
    shafts = {Tone.CONFIRMED: "==>", Tone.INFERRED: "~~>", Tone.REFUSED: "--x"}
    for tone, shaft in shafts.items():
        assert f"    {shaft} two ({tone})\n" in outline(picture(arrow(tone)))


def test_the_present_state_is_lit_in_every_format() -> None:
    for render in (mermaid, dot, outline, table):
        assert render(picture(arrow(), lit=True)) != render(picture(arrow())), render


def test_numbers_lines_notes_and_heat_are_drawn() -> None:
    shown = picture(arrow(number=7, note="said so", heat=1.0), lines=("3 jobs",), heat=0.5)
    for name, form in FORMATS.items():
        if not form.picture:
            text = form.bytes(shown).decode()
            assert all(word in text for word in ("7", "said so", "3 jobs")), name
    assert "class one heat2" in mermaid(shown)
    assert 'color="#c01c1c"' in dot(shown)


def test_heat_at_its_ends_has_a_colour() -> None:
    for heat, name in ((0.0, "heat0"), (1.0, "heat4")):
        assert f"class one {name}" in mermaid(picture(arrow(), heat=heat))


# --- the registry --------------------------------------------------------------------------------------


def test_a_format_is_found_by_name_and_by_suffix() -> None:
    assert [format_by_suffix(form.suffix) for form in FORMATS.values()] == list(FORMATS)
    assert format_by_suffix(".pdf") is None
    with pytest.raises(UnknownFormatError, match="no format 'pdf'; known are mermaid"):
        format_of("pdf")
