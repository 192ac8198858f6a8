"""What the guards hold a job to, read from the specification; each dialect says it in its own SQL."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fsm.moves import exact_moves
from fsm.spec import moves
from fsm.states import ENDED, INITIAL, Ending, State

JOBS: Final = "replication_jobs"
HISTORY: Final = "job_history"
PREFIX: Final = "oma_fsm_"  # of every trigger and function of ours; what goes by it is ours to drop
MARK: Final = "oma-fsm: "  # how every refusal begins
STATUS_CHECK: Final = "ck_replication_jobs_status"
JOB_INSERT: Final = f"{PREFIX}job_insert"
JOB_UPDATE: Final = f"{PREFIX}job_update"
HISTORY_INSERT: Final = f"{PREFIX}history_insert"
HISTORY_UPDATE: Final = f"{PREFIX}history_update"
HISTORY_DELETE: Final = f"{PREFIX}history_delete"
HISTORY_TRUNCATE: Final = f"{PREFIX}history_truncate"

KNOWN: Final = tuple(s.value for s in State)
OVER: Final = tuple(s.value for s in ENDED)
BIRTH: Final = INITIAL.value
BIRTH_VERSION: Final = 1

BORN: Final = (
    f"a job begins {BIRTH}, at version {BIRTH_VERSION}, without ending and completed_at; let the API create it"
)
# What an OMA may do to an end: contradict one that was only inferred; and an end of its own is given an ending.
OMAS_WORD: Final = (
    f"NEW.version = OLD.version AND (COALESCE(OLD.ending, '') = '{Ending.INFERRED.value}'"
    " OR (OLD.ending IS NULL AND NEW.status = OLD.status))"
)
NO_GAPS: Final = "history has no gaps: after the last row of a job comes the row of its next version"
ONLY_ADDED: Final = "history is only ever added to"
GOES_WITH_JOB: Final = "history goes only with its whole job"


class Mode(StrEnum):
    """How much a database is guarded against."""

    STRICT = "strict"  # only this service's moves
    ADOPTED = "adopted"  # an OMA goes on writing: only ends are held, and history


@dataclass(frozen=True, slots=True)
class DatabaseGuard:
    """A trigger or constraint. `definition` is what the database's catalogue says of it while nobody has touched it."""

    name: str
    table: str
    make: tuple[str, ...]
    drop: tuple[str, ...]
    definition: str


def allowed(mode: Mode) -> dict[str, tuple[str, ...]]:
    """What a job at `status` or `status/ending` may become with its next version; ended jobs only if adopted.

    An OMA ends its jobs without an ending. On an adopted database such an end may be given one, or be taken back.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for move in exact_moves():
        if move.source is not None and (mode is Mode.STRICT or move.source in ENDED):
            found[_key(move.source, move.source_ending)].add(_key(move.target, move.ending))
    if mode is Mode.ADOPTED:
        for source, target in moves():
            if source in ENDED:
                endings = tuple(Ending) if target in ENDED else (None,)
                found[_key(source, None)] |= {_key(target, ending) for ending in endings}
    return {source: tuple(sorted(found[source])) for source in sorted(found)}


def _key(state: State, ending: Ending | None) -> str:
    return f"{state.value}/{ending.value}" if ending else state.value


def key(row: str) -> str:
    """SQL: where the row OLD or NEW stands, as `allowed` writes it; also what a refusal shows."""
    # A status with a stroke of its own must not pass for one with an ending.
    return f"COALESCE(replace({row}.status, '/', '?') || COALESCE('/' || {row}.ending, ''), 'no status')"


def listed(words: Iterable[str]) -> str:
    """Words as SQL writes a list of them."""
    return ", ".join(f"'{word}'" for word in words)


def words_of(constraint: str) -> str:
    """The quoted words of a CHECK: all of it that every version of a server writes alike."""
    return "CHECK " + ", ".join(re.findall("'([^']*)'", constraint))


def permits(from_to: str, targets: Mapping[str, Iterable[str]]) -> str:
    """SQL: the move that the expression `from_to` writes as `old -> new` is one of these."""
    pairs = [f"'{old} -> {new}'" for old, found in targets.items() for new in found]
    return f"{from_to} IN (\n      " + ",\n      ".join(pairs) + ")"
