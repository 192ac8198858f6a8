"""Colours and the stylesheet, for light and dark."""

from typing import Final, Literal

from fsm.render.model import Tone
from fsm.render.svg.text import Style

Theme = Literal["auto", "light", "dark"]
FONTS: Final = (
    "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,"
    "'Noto Sans','Liberation Sans','DejaVu Sans',sans-serif"
)

# What for: (light, dark).
COLOURS: Final = {
    "paper": ("#ffffff", "#0d1117"),
    "ink": ("#1f2328", "#e6edf3"),
    "muted": ("#454c54", "#b1bac4"),
    "faint": ("#656d76", "#8b949e"),
    "outer": ("#f6f8fa", "#11161d"),
    "inner": ("#eef4fc", "#121d2b"),
    "border": ("#c4ccd6", "#353d48"),
    "setup": ("#ffffff", "#0f1a2a"),
    "setup-edge": ("#7d9cc9", "#5277a8"),
    "active": ("#d6e6ff", "#173257"),
    "active-edge": ("#2f6fc9", "#6ea8fe"),
    "ended": ("#eceef1", "#22272e"),
    "ended-edge": ("#6e7781", "#8b949e"),
    "lit": ("#fff3c4", "#4a3a08"),
    "lit-edge": ("#bf8700", "#e3b341"),
    "heat": ("#e5534b", "#f0635a"),
    "plain": ("#4a5159", "#c9d1d9"),
    "confirmed": ("#1a7f37", "#4ac26b"),
    "inferred": ("#8a5a00", "#e3b341"),
    "manual": ("#0969da", "#6cb6ff"),
    "revived": ("#8250df", "#c297ff"),
    "refused": ("#cf222e", "#ff7b72"),
}
HOTTEST: Final = 0.42  # opacity of the heat over a box: text on it can still be read
# The line of each tone differs by more than its colour.
_DASHES: Final = {
    Tone.INFERRED: "7 4",
    Tone.MANUAL: "12 3 2 3",
    Tone.REVIVED: "14 5",
    Tone.REFUSED: "2 4",
}


def stylesheet(scope: str, theme: Theme) -> str:
    """CSS for what is inside `#scope` only. "auto" follows the reader's preference; the others have no variables."""
    rules = "\n".join(f"#{scope} {rule}" for rule in _rules())
    if theme != "auto":
        for name in sorted(COLOURS, key=len, reverse=True):
            rules = rules.replace(f"var(--{name})", COLOURS[name][theme == "dark"])
        return rules
    light, dark = (";".join(f"--{name}:{both[i]}" for name, both in COLOURS.items()) for i in (0, 1))
    return f"#{scope}{{{light}}}\n@media (prefers-color-scheme:dark){{#{scope}{{{dark}}}}}\n{rules}"


def _rules() -> list[str]:
    fills = {"about": "muted", "line": "muted", "group": "faint", "guard": "muted", "effect": "faint", "note": "muted"}
    return [
        f"text{{font-family:{FONTS}}}",
        *(f".{s.css}{{{_font(s)};fill:var(--{fills.get(s.css, 'ink')})}}" for s in Style),
        ".note{font-style:italic}",
        ".paper{fill:var(--paper)}",
        ".frame{fill:var(--outer);stroke:var(--border)}",
        ".frame.deep{fill:var(--inner)}",
        *(
            f".box.{role}{{fill:var(--{role});stroke:var(--{role}-edge);stroke-width:1.5}}"
            for role in ("setup", "active", "ended")
        ),
        ".rim{fill:none;stroke:var(--ended-edge)}",
        ".birth{fill:var(--ink)}",
        ".box.lit{fill:var(--lit);stroke:var(--lit-edge);stroke-width:2.5}",
        ".halo{fill:none;stroke:var(--lit-edge);stroke-width:5;stroke-opacity:.25}",
        ".box.hot{fill:var(--paper)}",
        ".heat{fill:var(--heat)}",
        ".glow{fill:none;stroke:var(--heat);stroke-linejoin:round}",
        ".rule{stroke:var(--border)}",
        ".way{fill:none;stroke-width:1.6;stroke-linejoin:round}",
        *(rule for tone in Tone for rule in _tone(tone)),
        ".step{fill:var(--paper);font-size:10.5px;font-weight:700;text-anchor:middle}",
    ]


def _font(style: Style) -> str:
    return f"font-size:{style.size:g}px;font-weight:{600 if style.bold else 400}"


def _tone(tone: Tone) -> tuple[str, str, str]:
    dashes = f";stroke-dasharray:{_DASHES[tone]}" if tone in _DASHES else ""
    colour = f"var(--{tone})"
    return (
        f".{tone} .way{{stroke:{colour}{dashes}}}",
        f".{tone} .head{{fill:{colour}}}",
        f".{tone} .event{{fill:{colour}}}",
    )
