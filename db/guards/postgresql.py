"""The guards in PostgreSQL's words: a function for each trigger, and a constraint."""

from typing import Final

from db.guards import rules
from db.guards.rules import HISTORY, JOBS, PREFIX, DatabaseGuard, Mode, allowed, key, listed, permits

FOUND: Final = f"""
SELECT t.tgname AS name, CAST(CAST(t.tgrelid AS regclass) AS text) AS tbl,
  CASE t.tgenabled WHEN 'O' THEN '' ELSE 'switched off: ' END || pg_get_triggerdef(t.oid, true) || E'\\n' || p.prosrc
    AS definition
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE t.tgrelid IN (to_regclass('{JOBS}'), to_regclass('{HISTORY}')) AND substr(t.tgname, 1, {len(PREFIX)}) = '{PREFIX}'
UNION ALL
SELECT conname, CAST(CAST(conrelid AS regclass) AS text), pg_get_constraintdef(oid)
FROM pg_constraint WHERE conrelid = to_regclass('{JOBS}') AND conname = '{rules.STATUS_CHECK}'"""  # noqa: S608 # constants

_MOVED: Final = "(NEW.status IS DISTINCT FROM OLD.status OR NEW.ending IS DISTINCT FROM OLD.ending)"
_FROM_TO: Final = f"{key('OLD')} || ' -> ' || {key('NEW')}"
_EVENT: Final = "fire an event instead: POST /api/v1/replications/JOB/events/EVENT"


def guards(mode: Mode) -> tuple[DatabaseGuard, ...]:
    """All of them."""
    strict = mode is Mode.STRICT
    jobs = (_check(), _insert(), _update()) if strict else (_adopted(),)
    return (*jobs, _history_insert(strict=strict), _history_update(), _history_delete(), _history_truncate())


def drop(name: str, table: str) -> tuple[str, ...]:
    """The statements that take a guard away."""
    if name == rules.STATUS_CHECK:
        return (f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}",)
    return (f"DROP TRIGGER IF EXISTS {name} ON {table}", f"DROP FUNCTION IF EXISTS {name}()")


def _check() -> DatabaseGuard:
    name, rule = rules.STATUS_CHECK, f"status IS NOT NULL AND status IN ({listed(rules.KNOWN)})"
    made = f"ALTER TABLE {JOBS} ADD CONSTRAINT {name} CHECK ({rule})"
    return DatabaseGuard(name, JOBS, (made,), drop(name, JOBS), rules.words_of(rule))


def _guard(name: str, table: str, when: str, body: str, each: str = "ROW") -> DatabaseGuard:
    # The path is kept with the function: a client with another one meets the same tables.
    function = (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
        f" SET search_path FROM CURRENT AS $guard${body}$guard$"
    )
    trigger = f"CREATE TRIGGER {name} {when} ON {table} FOR EACH {each} EXECUTE FUNCTION {name}()"
    return DatabaseGuard(name, table, (function, trigger), drop(name, table), f"{trigger}\n{body}")


def _refuse(message: str, hint: str = _EVENT) -> str:
    return (
        f"RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = '{rules.MARK}' || {message},"
        f" HINT = '{hint}; see docs/operations.md, \"The database refuses\"';"
    )


def _insert() -> DatabaseGuard:
    message = f"'job ' || NEW.id || ' may not begin ' || {key('NEW')} || ' at version ' || NEW.version"
    body = f"""
BEGIN
  IF NOT (NEW.status IS NOT DISTINCT FROM '{rules.BIRTH}' AND NEW.version = {rules.BIRTH_VERSION}
    AND NEW.ending IS NULL AND NEW.completed_at IS NULL) THEN
    {_refuse(message, rules.BORN)}
  END IF;
  RETURN NEW;
END"""
    return _guard(rules.JOB_INSERT, JOBS, "BEFORE INSERT", body)


def _update() -> DatabaseGuard:
    alone = f"'job ' || OLD.id || ' may not go ' || {_FROM_TO} || ' at the same version'"
    jumped = "'job ' || OLD.id || ' may not go from version ' || OLD.version || ' to ' || NEW.version"
    undated = f"'job ' || OLD.id || ' may not be ' || {key('NEW')} || ' without completed_at'"
    body = f"""
BEGIN
  IF NEW.version = OLD.version THEN
    IF {_MOVED} THEN
      {_refuse(alone)}
    END IF;
  ELSIF NEW.version <> OLD.version + 1 THEN
    {_refuse(jumped, "a version stays, or rises by 1 with a move")}
  ELSIF NOT {permits(_FROM_TO, allowed(Mode.STRICT))} THEN
    {_refuse(_may_not_go())}
  END IF;
  IF NEW.status IN ({listed(rules.OVER)}) AND NEW.completed_at IS NULL
    AND (OLD.completed_at IS NOT NULL OR NEW.version <> OLD.version) THEN
    {_refuse(undated, "set it together with status")}
  END IF;
  RETURN NEW;
END"""
    return _guard(rules.JOB_UPDATE, JOBS, "BEFORE UPDATE OF status, version, ending, completed_at", body)


def _adopted() -> DatabaseGuard:
    body = f"""
BEGIN
  IF OLD.status IN ({listed(rules.OVER)}) AND ({_MOVED} OR NEW.version <> OLD.version)
    AND NOT ({rules.OMAS_WORD})
    AND (NEW.version <> OLD.version + 1 OR NOT {permits(_FROM_TO, allowed(Mode.ADOPTED))}) THEN
    {_refuse(_may_not_go())}
  END IF;
  RETURN NEW;
END"""
    return _guard(rules.JOB_UPDATE, JOBS, "BEFORE UPDATE OF status, version, ending", body)


def _may_not_go() -> str:
    return f"'job ' || OLD.id || ' may not go ' || {_FROM_TO}"


def _history_insert(*, strict: bool) -> DatabaseGuard:
    gap = "'history of job ' || NEW.job_id || ' goes on with row ' || job.last_seq + 1 || ', not ' || NEW.seq"
    body = f"""
DECLARE
  job record;
BEGIN
  SELECT version, status, ending, (SELECT max(seq) FROM {HISTORY} WHERE job_id = NEW.job_id) AS last_seq
    INTO job FROM {JOBS} WHERE id = NEW.job_id;
  IF NEW.seq <> job.last_seq + 1 THEN
    {_refuse(gap, rules.NO_GAPS)}
  END IF;{_fits() if strict else ""}
  RETURN NEW;
END"""  # noqa: S608 # constants
    return _guard(rules.HISTORY_INSERT, HISTORY, "BEFORE INSERT", body)


def _fits() -> str:
    row = "NEW.to_state || COALESCE('/' || NEW.ending, '')"
    told = f"'history row ' || NEW.seq || ' (' || {row} || ') of job ' || NEW.job_id"
    message = f"{told} || ' does not fit the job: ' || {key('job')} || ' at version ' || job.version"
    return f"""
  IF job.version <> NEW.seq OR job.status <> NEW.to_state OR job.ending IS DISTINCT FROM NEW.ending THEN
    {_refuse(message, "change the job first, in the same transaction")}
  END IF;"""


def _history_update() -> DatabaseGuard:
    message = f"'job ' || OLD.job_id || ': {rules.ONLY_ADDED}'"
    return _guard(rules.HISTORY_UPDATE, HISTORY, "BEFORE UPDATE", f"\nBEGIN\n  {_refuse(message, _KEPT)}\nEND")


_KEPT: Final = "what was decided stays as it was"


def _history_delete() -> DatabaseGuard:
    body = f"""
BEGIN
  IF EXISTS (SELECT 1 FROM {JOBS} WHERE id = OLD.job_id) THEN
    {_refuse(f"'job ' || OLD.job_id || ': {rules.GOES_WITH_JOB}'", _KEPT)}
  END IF;
  RETURN OLD;
END"""  # noqa: S608 # constants
    return _guard(rules.HISTORY_DELETE, HISTORY, "BEFORE DELETE", body)


def _history_truncate() -> DatabaseGuard:
    message = f"'{rules.GOES_WITH_JOB}'"
    body = f"\nBEGIN\n  {_refuse(message, 'delete the jobs instead')}\nEND"
    return _guard(rules.HISTORY_TRUNCATE, HISTORY, "BEFORE TRUNCATE", body, "STATEMENT")
