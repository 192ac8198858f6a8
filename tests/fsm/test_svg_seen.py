"""What a browser and resvg make of the pictures: our widths hold for real text, and the PNG is the picture."""

import builtins
import html
import json
import os
import re
import shutil
import struct
import subprocess
from itertools import combinations
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
import resvg_py
from svg_reader import NS, Rect, text_boxes
from svg_samples import SAMPLES

from fsm.render import png as module
from fsm.render.png import PngError, png
from fsm.render.svg import svg
from fsm.render.svg.theme import COLOURS, HOTTEST

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
MEASURE = """<pre id="found"></pre><script>
const box = e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
document.getElementById("found").textContent = JSON.stringify([...document.querySelectorAll("svg")].map(svg => ({
  page: box(svg), texts: [...svg.querySelectorAll("text")].map(box), width: svg.viewBox.baseVal.width})));
</script>"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The boxes of all texts of all examples as Chromium drew them."""
    if CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is missing: run .ci/pictures")
        pytest.skip("chromium is not installed: widths of text are not compared with real ones")
    folder = tmp_path_factory.mktemp("chromium")
    page = folder / "page.html"
    page.write_text("<!doctype html><meta charset=utf-8>" + "".join(svg(f()) for f in SAMPLES.values()) + MEASURE)
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--window-size=1400,900", "--dump-dom"]
    ran = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r'<pre id="found">(.+?)</pre>', ran.stdout, re.DOTALL)
    assert found, f"the page shows nothing: {ran.stderr[-500:]}"
    measured: list[dict[str, Any]] = json.loads(html.unescape(found[1]))
    assert len(measured) == len(SAMPLES)
    return measured


def test_no_real_text_is_wider_than_we_thought(seen: list[dict[str, Any]]) -> None:
    for picture, sample in zip(seen, SAMPLES.values(), strict=True):
        scale = (picture["page"][2] - picture["page"][0]) / picture["width"]
        thought = text_boxes(svg(sample()))
        assert len(picture["texts"]) == len(thought) > 0
        for (left, _, right, _), box in zip(picture["texts"], thought, strict=True):
            assert (right - left) / scale <= box.right - box.left + 0.6


def test_no_real_text_lies_on_another_or_off_the_page(seen: list[dict[str, Any]]) -> None:
    for picture in seen:
        page, texts = Rect(*picture["page"]), [Rect(*box) for box in picture["texts"]]
        assert all(text.inside(page) for text in texts)
        assert not [pair for pair in combinations(texts, 2) if pair[0].meets(pair[1])]


# --- colours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_on_whatever_it_stands_on(dark: bool) -> None:
    colours = {name: both[dark] for name, both in COLOURS.items()}
    hot = _mixed(colours["heat"], colours["paper"], HOTTEST)
    tones = [colours[t] for t in ("plain", "confirmed", "inferred", "manual", "revived", "refused")]
    for ground in (colours["paper"], colours["outer"], colours["inner"]):
        assert min(_contrast(text, ground) for text in (*tones, colours["ink"], colours["muted"])) >= 4.5
        assert _contrast(colours["faint"], ground) >= 4.5
    for ground in (colours["setup"], colours["active"], colours["ended"], colours["lit"], hot):
        assert min(_contrast(colours[text], ground) for text in ("ink", "muted")) >= 4.5


def _mixed(over: str, under: str, share: float) -> str:
    pairs = zip(bytes.fromhex(over[1:]), bytes.fromhex(under[1:]), strict=True)
    return "#" + bytes(round(a * share + b * (1 - share)) for a, b in pairs).hex()


def _contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""
    low, high = sorted(_luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [c / 255 for c in bytes.fromhex(colour[1:])]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


# --- PNG --------------------------------------------------------------------------------------------


def test_a_png_has_the_size_of_the_picture_and_its_theme() -> None:
    light, dark = png(SAMPLES["path"](), "light"), png(SAMPLES["path"](), "dark", scale=1)
    root = ElementTree.fromstring(svg(SAMPLES["path"]()))  # noqa: S314 - our own text
    wide, tall = map(float, root.attrib["viewBox"].split()[2:])
    assert root.tag == f"{NS}svg"
    for picture, scale in ((light, 2), (dark, 1)):
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")
        size = struct.unpack(">II", picture[16:24])
        assert size == pytest.approx((wide * scale, tall * scale), abs=2)
    assert png(SAMPLES["path"](), "light", scale=1) != dark


def test_a_png_shows_the_text() -> None:
    def without_text(*, svg_string: str, zoom: float) -> bytes:
        return bytes(resvg_py.svg_to_bytes(svg_string=re.sub(r"<text.*?</text>", "", svg_string), zoom=zoom))

    assert png(SAMPLES["alone"](), scale=1) != without_text(svg_string=svg(SAMPLES["alone"](), "light"), zoom=1)


def test_without_the_extra_a_png_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def refused(name: str, *rest: Any) -> ModuleType:
        if name == "resvg_py":
            raise ImportError(name)
        return imported(name, *rest)

    module._has_fonts.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refused)
    with pytest.raises(PngError, match=r"oma-fsm\[png\]"):
        png(SAMPLES["alone"]())


def test_without_a_font_a_png_is_refused_rather_than_mute(monkeypatch: pytest.MonkeyPatch) -> None:
    real = resvg_py.svg_to_bytes
    module._has_fonts.cache_clear()
    monkeypatch.setattr(resvg_py, "svg_to_bytes", lambda **kw: real(skip_system_fonts=True, **kw))
    with pytest.raises(PngError, match="no font was found"):
        png(SAMPLES["alone"]())
    module._has_fonts.cache_clear()
