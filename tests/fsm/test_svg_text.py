"""What is written in the pictures: every word, none that commands; the same bytes for everybody; clear refusals."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from svg_reader import read
from svg_samples import NASTY, SAMPLES

from fsm.render.model import Arrow, Caption, Diagram, Group, Node, Role, Tone
from fsm.render.svg import svg
from fsm.render.svg.labels import of_arrow
from fsm.render.svg.text import Run as Words
from fsm.render.svg.text import Style, clean, short, width, wrap
from fsm.render.views import whole


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> Diagram:
    """One of the example diagrams."""
    return SAMPLES[request.param]()


# --- text -------------------------------------------------------------------------------------------


def test_every_word_of_a_diagram_can_be_read(sample: Diagram) -> None:
    picture = read(svg(sample))
    said = picture.text.replace(" ", "").replace("\u00a0", "")
    wanted = [n.label for n in sample.nodes if n.role is not Role.BIRTH]
    wanted += [line for n in sample.nodes for line in n.lines]
    wanted += [c.event for a in sample.arrows for c in a.captions] + [a.note or "" for a in sample.arrows]
    for words_ in (word for text in wanted for word in clean(text).split()):
        assert words_ in said
    for guard in (g for a in sample.arrows for c in a.captions for g in c.guards):
        assert all(word in said for word in clean(guard).split())


def test_nasty_text_neither_breaks_nor_commands_the_document() -> None:
    text = svg(SAMPLES["nasty"]())
    read(text)
    assert "<script" not in text
    assert not set(text) & {"\x00", "\x1b", "\ud800", "\u202e"}
    assert "😀" in text
    text.encode()


def test_title_and_description_are_tied_to_the_picture(sample: Diagram) -> None:
    text = svg(sample)
    scope = text.split('id="')[1].split('"')[0]
    assert f'role="img" aria-labelledby="{scope}-title {scope}-desc"' in text
    assert f'<title id="{scope}-title">' in text
    assert f'<desc id="{scope}-desc">' in text


def test_two_pictures_in_one_page_have_no_id_or_rule_in_common() -> None:
    texts = [svg(SAMPLES[name](), theme) for name in ("whole", "path") for theme in ("light", "dark")]
    ids = [part.split('"')[0] for text in texts for part in text.split(' id="')[1:]]
    assert len(ids) == len(set(ids)) == 12
    for text in texts:
        style = text.split("<style>")[1].split("</style>")[0]
        scope = text.split('id="')[1].split('"')[0]
        assert all(line.startswith(f"#{scope} ") for line in style.strip().splitlines())


def test_a_limit_stays_on_one_line() -> None:
    caption = Caption("vma_not_found", "lost", ("absence ripe (>= 3 like answers over 1m, >= 30s) and > 90 % done",))
    arrow = Arrow("a", "b", Tone.PLAIN, (caption,))
    for wide in range(60, 300, 7):
        lines = ["".join(run.text for run in line.runs) for _, line in of_arrow(arrow, wide).lines]
        assert not [line for line in lines if line.endswith((">=", ">", "90")) or line.startswith("%")]


def test_wrapped_lines_fit_and_lose_nothing() -> None:
    lines = wrap([Words("event", Style.EVENT), Words(NASTY, Style.GUARD)], 90)
    assert max(line.width for line in lines) <= 90
    joined = "".join(run.text for line in lines for run in line.runs).replace(" ", "")
    assert joined == "event" + clean(NASTY).replace(" ", "")
    assert short("ended", Style.GROUP, 100) == "ended"
    assert width(short(NASTY, Style.GROUP, 100), Style.GROUP) <= 100


# --- themes, bytes, errors ----------------------------------------------------------------------------


def test_auto_follows_the_reader_and_the_others_need_no_variables() -> None:
    auto, light, dark = (svg(whole(), theme) for theme in ("auto", "light", "dark"))
    assert "@media (prefers-color-scheme:dark)" in auto
    assert "var(--ink)" in auto
    assert "var(" not in light + dark
    assert "#0d1117" in dark
    assert "#0d1117" not in light


def test_tones_and_heat_and_the_present_state_are_explained_where_they_occur() -> None:
    assert "refused, nothing moved" in svg(SAMPLES["path"]())
    assert "the present state" in svg(SAMPLES["path"]())
    assert "the redder, the more" in svg(SAMPLES["fleet"]())
    assert "refused, nothing moved" not in svg(whole())
    assert "the present state" not in svg(whole())


def test_the_bytes_depend_on_neither_hash_seed_nor_locale() -> None:
    code = "import sys; from svg_samples import SAMPLES; from fsm.render.svg import svg\n"
    code += "for f in SAMPLES.values(): sys.stdout.buffer.write(svg(f()).encode())"
    here = Path(__file__).parent
    outs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "PYTHONPATH": f"{here}:{here.parents[1]}"},
            capture_output=True,
            check=True,
        ).stdout
        for seed, locale in (("0", "C"), ("1", "de_DE.UTF-8"), ("42", "C.UTF-8"))
    }
    assert len(outs) == 1
    assert len(outs.pop()) > 10_000


@pytest.mark.parametrize(
    ("arrow", "group", "said"),
    [
        (Arrow("nowhere", "a", Tone.PLAIN, ()), Group("g", "g", ("a",)), "nowhere"),
        (Arrow("a", "g", Tone.PLAIN, ()), Group("g", "g", ("a",)), "g"),
        (Arrow("a", "a", Tone.PLAIN, ()), Group("g", "g", ("b",)), "b"),
        (Arrow("a", "a", Tone.PLAIN, ()), Group("g", "g", ()), "g"),
    ],
)
def test_what_is_not_in_the_diagram_is_named(arrow: Arrow, group: Group, said: str) -> None:
    diagram = Diagram("broken", "", "", (Node("a", "a", Role.SETUP),), (arrow,), (group,))
    with pytest.raises(ValueError, match=rf"\b{said}\b.*broken|broken.*\b{said}\b"):
        svg(diagram)


def test_a_diagram_without_nodes_is_refused() -> None:
    with pytest.raises(ValueError, match="'empty' has no node"):
        svg(Diagram("empty", "", "", (), ()))
