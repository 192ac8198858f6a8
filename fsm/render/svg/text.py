"""How wide text will be, and where its lines break, without asking any font.

Widths are those of DejaVu Sans, the widest of the usual system fonts: what fits by this table fits in the others.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import accumulate, takewhile
from typing import Final

# Hundredths of an em.
_REGULAR: Final = {
    28: "ijl", 30: "IJ", 32: " \u00a0,.·", 34: "/:;\\|", 36: "f", 37: "-", 40: "()[]t", 41: "!", 42: "r",
    46: '"', 50: "*_`", 53: "sz", 54: "?", 55: "c", 56: "L", 58: "Fk", 60: "vxy", 61: "P", 62: "TYaeo",
    64: "$0123456789ESbdghnpqu{}", 66: "K", 69: "ABVXZ", 70: "CR", 74: "U", 75: "N", 76: "H", 78: "&DG",
    79: "OQ", 82: "w", 84: "#+<=>^~→≤≥", 87: "M", 96: "%", 98: "m", 99: "W", 100: "@…",
}  # fmt: skip
_BOLD: Final = {
    31: "'", 35: " \u00a0ijl", 37: "/\\|", 38: ",.IJ·", 40: ":;", 42: "-", 44: "f", 46: "!()[]", 48: "t",
    50: "_`r", 53: '"*', 59: "?z", 60: "cs", 64: "L", 65: "x", 66: "vy", 67: "k", 68: "ae", 69: "EFTo",
    70: "$0123456789", 72: "bdghnpqu{}", 73: "SYZ", 74: "CP", 77: "B", 78: "AKRVX", 82: "U", 83: "G",
    84: "#+<=>DHN^~→≤≥", 86: "OQ", 88: "&", 93: "w", 100: "@M…", 101: "%", 105: "m", 111: "W",
}  # fmt: skip
_WIDTHS: Final = tuple({c: w for w, cs in table.items() for c in cs} for table in (_REGULAR, _BOLD))
GLUE: Final = "\u00a0"  # a space at which no line breaks
_ROUNDING: Final = 1.02  # browsers round each letter to whole pixels on some screens
_WIDE: Final = 140  # emoji, ideographs
_UNKNOWN: Final = 110  # the widest Latin, Greek and Cyrillic letters that have no row of their own
_BIDI: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


class Style(Enum):
    """Kinds of text: (size in px, bold, height of a line in px). The names are CSS classes."""

    TITLE = (19.0, True, 26.0)
    ABOUT = (12.5, False, 18.0)
    NAME = (14.0, True, 19.0)
    LINE = (11.5, False, 16.0)
    GROUP = (11.5, True, 16.0)
    EVENT = (12.0, True, 16.0)
    GUARD = (11.0, False, 15.0)
    EFFECT = (10.5, False, 14.0)
    NOTE = (11.01, False, 15.0)  # an enum has no two members of one value
    KEY = (11.02, False, 15.0)

    @property
    def css(self) -> str:
        """The CSS class."""
        return self.name.lower()

    @property
    def size(self) -> float:
        """Font size in px."""
        return round(self.value[0], 1)

    @property
    def bold(self) -> bool:
        """True for weight 600."""
        return self.value[1]

    @property
    def height(self) -> float:
        """Height of a line, px."""
        return self.value[2]


@dataclass(frozen=True, slots=True)
class Run:
    """Words of one style on one line."""

    text: str
    style: Style


@dataclass(frozen=True, slots=True)
class Line:
    """Runs side by side, a space between them."""

    runs: tuple[Run, ...]

    @property
    def width(self) -> float:
        """Its width in px, at most."""
        return _joined(self.runs)

    @property
    def height(self) -> float:
        """Its height in px."""
        return max(run.style.height for run in self.runs)


def width(text: str, style: Style) -> float:
    """The width of cleaned text in px; a real font is rarely wider."""
    return sum(_advance(c, style) for c in text)


def _advance(char: str, style: Style) -> float:
    return _units(char, style.bold) * style.size * _ROUNDING / 100


@cache
def _units(char: str, bold: bool) -> int:
    known = _WIDTHS[bold]
    base = unicodedata.normalize("NFD", char)[0]
    if base in known:
        return known[base]
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return _WIDE if unicodedata.east_asian_width(char) in "WF" or ord(char) >= 0x2190 else _UNKNOWN


def clean(text: str) -> str:
    """One line that XML can carry: other white space becomes a space, what XML forbids a replacement character."""
    return re.sub(" +", " ", "".join(map(_allowed, text))).strip(" ")


def _allowed(char: str) -> str:
    if (char.isspace() and char != GLUE) or unicodedata.bidirectional(char) in _BIDI:
        return " "
    return "\ufffd" if unicodedata.category(char) in ("Cc", "Cs") or ord(char) & 0xFFFE == 0xFFFE else char


def wrap(runs: Iterable[Run], limit: float) -> tuple[Line, ...]:
    """Lines no wider than `limit` px; a longer word is broken where it must be."""
    lines: list[Line] = []
    now: tuple[Run, ...] = ()
    for word in (
        p for run in runs for text in clean(run.text).split(" ") if text for p in _pieces(text, run.style, limit)
    ):
        longer = _append(now, word)
        if now and _joined(longer) > limit:
            lines.append(Line(now))
            longer = (word,)
        now = longer
    return (*lines, Line(now)) if now else tuple(lines)


def _append(runs: tuple[Run, ...], word: Run) -> tuple[Run, ...]:
    if runs and runs[-1].style is word.style:
        return (*runs[:-1], Run(f"{runs[-1].text} {word.text}", word.style))
    return (*runs, word)


def _joined(runs: tuple[Run, ...]) -> float:
    spaces = sum(width(" ", run.style) for run in runs[:-1])
    return sum(width(run.text, run.style) for run in runs) + spaces


def _pieces(word: str, style: Style, limit: float) -> Iterator[Run]:
    """The word itself, or parts that fit; broken after an underscore if that is not too early."""
    while (fits := max(1, _fitting(word, style, limit))) < len(word):
        after = word.rfind("_", fits // 2, fits) + 1
        cut = after or fits
        yield Run(word[:cut], style)
        word = word[cut:]
    yield Run(word, style)


def short(text: str, style: Style, limit: float) -> str:
    """The text, or as much of it as fits before an ellipsis."""
    text = clean(text)
    if width(text, style) <= limit:
        return text
    return text[: _fitting(text, style, limit - width("…", style))].rstrip() + "…"


def _fitting(text: str, style: Style, limit: float) -> int:
    """How many characters fit."""
    ends = accumulate(_advance(c, style) for c in text)
    return sum(1 for _ in takewhile(lambda end: end <= limit, ends))
