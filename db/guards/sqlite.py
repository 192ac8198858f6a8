"""The guards in SQLite's words. RAISE takes a constant text there, so no refusal can name the job."""

from collections.abc import Mapping
from typing import Final

from db.guards import rules
from db.guards.rules import HISTORY, JOBS, PREFIX, DatabaseGuard, Mode, allowed, key, listed

FOUND: Final = f"""
SELECT name, tbl_name AS tbl, sql AS definition FROM sqlite_master
WHERE type = 'trigger' AND substr(name, 1, {len(PREFIX)}) = '{PREFIX}'"""  # noqa: S608 # constants

_MOVED: Final = "(NEW.version IS NOT OLD.version OR NEW.status IS NOT OLD.status OR NEW.ending IS NOT OLD.ending)"
_FROM_TO: Final = f"{key('OLD')} || ' -> ' || {key('NEW')}"
_EVENT: Final = "fire an event of the API instead"


def guards(mode: Mode) -> tuple[DatabaseGuard, ...]:
    """All of them."""
    strict = mode is Mode.STRICT
    jobs = (_insert(), _update()) if strict else (_adopted(),)
    return (*jobs, _history_insert(strict=strict), _history_update(), _history_delete())


def drop(name: str, table: str) -> tuple[str, ...]:  # noqa: ARG001 # as in the other dialects
    """The statements that take a guard away."""
    return (f"DROP TRIGGER IF EXISTS {name}",)


def _guard(name: str, table: str, when: str, condition: str, body: str) -> DatabaseGuard:
    made = f"CREATE TRIGGER {name} {when} ON {table}\nWHEN {condition}\nBEGIN\n  SELECT {body};\nEND"
    return DatabaseGuard(name, table, (made,), drop(name, table), made)


def _refuse(text: str) -> str:
    return f"RAISE(ABORT, '{rules.MARK}{text}')"


def _insert() -> DatabaseGuard:
    born = f"NEW.status IS '{rules.BIRTH}' AND NEW.version IS {rules.BIRTH_VERSION}"
    condition = f"NOT ({born} AND NEW.ending IS NULL AND NEW.completed_at IS NULL)"
    return _guard(rules.JOB_INSERT, JOBS, "BEFORE INSERT", condition, _refuse(rules.BORN))


def _update() -> DatabaseGuard:
    moves = allowed(Mode.STRICT)
    undated = f"NEW.completed_at IS NULL AND NEW.status IN ({listed(rules.OVER)})"
    unknown = f"{rules.STATUS_CHECK}: no such status; known are {', '.join(rules.KNOWN)}"
    body = f"""CASE
    WHEN NEW.version IS OLD.version AND {_MOVED}
      THEN {_refuse(f"status and ending of a job change only with version + 1; {_EVENT}")}
    WHEN NEW.version IS NOT OLD.version AND NEW.version IS NOT OLD.version + 1
      THEN {_refuse(f"the version of a job stays, or rises by 1 with a move; {_EVENT}")}
    WHEN NEW.version IS NOT OLD.version AND NOT {_permits(moves)} THEN
      CASE WHEN NEW.status NOT IN ({listed(rules.KNOWN)}) THEN {_refuse(unknown)}
      ELSE {_refusals(moves)} END
    WHEN {undated} THEN {_refuse("an ended job has a completed_at; set it together with status")}
    END"""
    condition = f"{_MOVED} OR (OLD.completed_at IS NOT NULL AND {undated})"
    return _guard(rules.JOB_UPDATE, JOBS, "BEFORE UPDATE OF status, version, ending, completed_at", condition, body)


def _adopted() -> DatabaseGuard:
    moves = allowed(Mode.ADOPTED)
    condition = (
        f"OLD.status IN ({listed(rules.OVER)}) AND {_MOVED} AND NOT ({rules.OMAS_WORD})\n"
        f"  AND (NEW.version IS NOT OLD.version + 1 OR NOT {_permits(moves)})"
    )
    return _guard(rules.JOB_UPDATE, JOBS, "BEFORE UPDATE OF status, version, ending", condition, _refusals(moves))


def _permits(moves: Mapping[str, tuple[str, ...]]) -> str:
    """SQLite would build the list of an IN anew for every row; a CASE only looks for its branch."""
    pairs = "\n".join(f"      WHEN '{old} -> {to}' THEN 1" for old, targets in moves.items() for to in targets)
    return f"CASE {_FROM_TO}\n{pairs}\n      ELSE 0 END"


def _refusals(moves: Mapping[str, tuple[str, ...]]) -> str:
    """A constant text for every place that a job may be at."""
    cases = "\n".join(f"      WHEN '{old}' THEN {_refuse(_only(old, new))}" for old, new in moves.items())
    return f"CASE {key('OLD')}\n{cases}\n      ELSE {_refuse(f'a job may not leave this end; {_EVENT}')} END"


def _only(old: str, new: tuple[str, ...]) -> str:
    return f"a job that is {old} may only become {', '.join(new)}, with version + 1; {_EVENT}"


def _history_insert(*, strict: bool) -> DatabaseGuard:
    last = f"(SELECT max(seq) FROM {HISTORY} WHERE job_id = NEW.job_id)"  # noqa: S608 # constants
    # INSERT OR REPLACE would take the row of that id away without asking the guard of DELETE.
    replaced = f"EXISTS (SELECT 1 FROM {HISTORY} WHERE id = NEW.id)"  # noqa: S608 # constants
    condition, text = f"NEW.seq IS NOT COALESCE({last} + 1, NEW.seq)\n  OR {replaced}", rules.NO_GAPS
    if strict:
        other = "version IS NOT NEW.seq OR status IS NOT NEW.to_state OR ending IS NOT NEW.ending"
        condition += f"\n  OR EXISTS (SELECT 1 FROM {JOBS} WHERE id = NEW.job_id AND ({other}))"  # noqa: S608 # constants
        text += "; the row says what its job says: version, status and ending"
    return _guard(rules.HISTORY_INSERT, HISTORY, "BEFORE INSERT", condition, _refuse(text))


def _history_update() -> DatabaseGuard:
    return _guard(rules.HISTORY_UPDATE, HISTORY, "BEFORE UPDATE", "1 = 1", _refuse(rules.ONLY_ADDED))


def _history_delete() -> DatabaseGuard:
    kept = f"EXISTS (SELECT 1 FROM {JOBS} WHERE id = OLD.job_id)"  # noqa: S608 # constants
    return _guard(rules.HISTORY_DELETE, HISTORY, "BEFORE DELETE", kept, _refuse(rules.GOES_WITH_JOB))
