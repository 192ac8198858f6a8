"""What the database's own words mean for whoever asked: a code for programs, a text for people."""

from typing import Final

_SIGNS: Final = {
    "database_full": ("disk is full", "no space left", "table is full", "could not extend file", "is full (errno"),
    "held": ("lock timeout", "lock wait timeout", "database is locked"),
}
_TEXTS: Final = {
    "database_full": "the database's disk is full; nothing was written. Make room, then try again",
    "held": "somebody else holds what this would change, for longer than is waited for; nothing was written. Try again;"
    " if it stays so, look for a transaction that was left open in the database",
    "unavailable": "the database does not answer; try again in a few seconds",
}


def outage(why: str) -> tuple[str, str]:
    """Code and text for what a driver said of a request that it could not do."""
    told = (code for code, signs in _SIGNS.items() if any(sign in why.lower() for sign in signs))
    code = next(told, "unavailable")
    return code, _TEXTS[code]
