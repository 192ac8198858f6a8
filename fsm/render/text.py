"""Text from outside, before it becomes part of a picture."""

from typing import Final

LONGEST: Final = 120  # characters of a reason on an arrow
_UNSEEN: Final = "\N{REPLACEMENT CHARACTER}"


def clean(text: str, longest: int = LONGEST) -> str:
    """One line that can be shown anywhere: no escape sequences, marks of direction or unpaired surrogates; cut."""
    shown = "".join(c if c.isprintable() else _UNSEEN for c in " ".join(text.split()))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
