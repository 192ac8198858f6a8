"""The guards in MariaDB's words. A refusal has 128 characters there; cascades of foreign keys fire no trigger."""

from typing import Final

from db.guards import rules
from db.guards.rules import HISTORY, JOBS, PREFIX, DatabaseGuard, Mode, allowed, listed, permits

LONGEST: Final = 128  # characters of a message
SHOWN: Final = 38  # of them for a job's id: the longest move still fits

FOUND: Final = f"""
SELECT trigger_name AS name, event_object_table AS tbl,
  CONCAT(action_timing, ' ', event_manipulation, '\\n', action_statement) AS definition
FROM information_schema.triggers
WHERE trigger_schema = DATABASE() AND SUBSTR(trigger_name, 1, {len(PREFIX)}) = '{PREFIX}'
UNION ALL
SELECT constraint_name, table_name, check_clause FROM information_schema.check_constraints
WHERE constraint_schema = DATABASE() AND constraint_name = '{rules.STATUS_CHECK}'"""  # noqa: S608 # constants


def guards(mode: Mode) -> tuple[DatabaseGuard, ...]:
    """All of them."""
    strict = mode is Mode.STRICT
    jobs = (_check(), _insert(), _update()) if strict else (_adopted(),)
    return (*jobs, _history_insert(strict=strict), _history_update(), _history_delete())


def drop(name: str, table: str) -> tuple[str, ...]:
    """The statements that take a guard away."""
    if name == rules.STATUS_CHECK:
        return (f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}",)
    return (f"DROP TRIGGER IF EXISTS {name}",)


def _check() -> DatabaseGuard:
    name, rule = rules.STATUS_CHECK, f"status IS NOT NULL AND BINARY status IN ({listed(rules.KNOWN)})"
    made = f"ALTER TABLE {JOBS} ADD CONSTRAINT {name} CHECK ({rule})"
    return DatabaseGuard(name, JOBS, (made,), drop(name, JOBS), rules.words_of(rule))


def _guard(name: str, table: str, when: str, *refusals: tuple[str, str], only_if: str = "TRUE") -> DatabaseGuard:
    """`refusals`: conditions with the text that is said; the first that holds is said, if `only_if` does."""
    branches = "\n  ELSE".join(f"IF {condition} THEN\n    SET why = {text};" for condition, text in refusals)
    body = f"""IF {only_if} THEN BEGIN
  DECLARE why VARCHAR(1000) CHARACTER SET utf8mb4;
  {branches}
  END IF;
  IF why IS NOT NULL THEN
    SET why = LEFT(CONCAT('{rules.MARK}', why), {LONGEST});
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = why;
  END IF;
END; END IF"""
    made = f"CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW {body}"
    return DatabaseGuard(name, table, (made,), drop(name, table), f"{when}\n{body}")


# Columns of an OMA differ in collation from ours, and may ignore case; bytes are bytes.
def _key(row: str) -> str:
    status = f"REPLACE(BINARY {row}.status, '/', '?')"
    return f"COALESCE(CONCAT({status}, COALESCE(CONCAT('/', BINARY {row}.ending), '')), 'no status')"


def _shown(expression: str, most: int = 1000) -> str:
    return f"LEFT(CONVERT({expression} USING utf8mb4), {most})"


_JOB: Final = f"'job ', {_shown('BINARY OLD.id', SHOWN)}"
_FROM_TO: Final = f"{_shown(_key('OLD'))}, ' -> ', {_shown(_key('NEW'))}"
_SAME: Final = "BINARY NEW.status <=> BINARY OLD.status AND BINARY NEW.ending <=> BINARY OLD.ending"
_MOVE: Final = f"CONCAT({_key('OLD')}, ' -> ', {_key('NEW')})"
_MAY_NOT_GO: Final = f"CONCAT({_JOB}, ' may not go ', {_FROM_TO}, '; fire an event instead')"


def _insert() -> DatabaseGuard:
    born = f"BINARY NEW.status <=> '{rules.BIRTH}' AND NEW.version <=> {rules.BIRTH_VERSION}"
    condition = f"NOT ({born} AND NEW.ending IS NULL AND NEW.completed_at IS NULL)"
    job = f"'job ', {_shown('BINARY NEW.id', SHOWN)}, ' may not begin ', {_shown(_key('NEW'))}"
    text = f"CONCAT({job}, ' at version ', NEW.version, '; create it by the API')"
    return _guard(rules.JOB_INSERT, JOBS, "BEFORE INSERT", (condition, text))


def _update() -> DatabaseGuard:
    permitted = permits(_MOVE, allowed(Mode.STRICT))
    undated = f"NEW.completed_at IS NULL AND BINARY NEW.status IN ({listed(rules.OVER)})"
    versions = "OLD.version, ' -> ', NEW.version"
    return _guard(
        rules.JOB_UPDATE,
        JOBS,
        "BEFORE UPDATE",
        (
            f"NEW.version = OLD.version AND NOT ({_SAME})",
            f"CONCAT({_JOB}, ': ', {_FROM_TO}, ' only with version + 1, by an event')",
        ),
        (
            "NEW.version <> OLD.version AND NEW.version <> OLD.version + 1",
            f"CONCAT({_JOB}, ': version ', {versions}, '; it rises by 1, with a move')",
        ),
        (f"NEW.version <> OLD.version AND NOT {permitted}", _MAY_NOT_GO),
        (
            f"{undated} AND (OLD.completed_at IS NOT NULL OR NEW.version <> OLD.version)",
            f"CONCAT({_JOB}, ' may not be ', {_shown(_key('NEW'))}, ' without completed_at')",
        ),
        # There are no triggers by column: one question has to let progress through.
        only_if=f"NEW.version <> OLD.version OR NOT ({_SAME})"
        " OR (NEW.completed_at IS NULL AND OLD.completed_at IS NOT NULL)",
    )


def _adopted() -> DatabaseGuard:
    permitted = permits(_MOVE, allowed(Mode.ADOPTED))
    moved = f"(NEW.version <> OLD.version OR NOT ({_SAME}))"
    illegal = f"(NEW.version <> OLD.version + 1 OR NOT {permitted})"
    condition = f"BINARY OLD.status IN ({listed(rules.OVER)}) AND {moved} AND NOT ({rules.OMAS_WORD}) AND {illegal}"
    return _guard(rules.JOB_UPDATE, JOBS, "BEFORE UPDATE", (condition, _MAY_NOT_GO))


def _history_insert(*, strict: bool) -> DatabaseGuard:
    last = f"(SELECT MAX(seq) FROM {HISTORY} WHERE job_id = NEW.job_id)"  # noqa: S608 # constants
    job = f"'history row ', NEW.seq, ' of job ', {_shown('BINARY NEW.job_id', SHOWN)}"
    refusals = [(f"NEW.seq <> {last} + 1", f"CONCAT({job}, ': no gaps, the next is ', {last} + 1)")]
    if strict:
        said = "BINARY status <=> BINARY NEW.to_state AND BINARY ending <=> BINARY NEW.ending"
        other = f"NOT (version <=> NEW.seq AND {said})"
        condition = f"EXISTS (SELECT 1 FROM {JOBS} WHERE id = NEW.job_id AND {other})"  # noqa: S608 # constants
        refusals.append((condition, f"CONCAT({job}, ' is not as the job: change the job first')"))
    return _guard(rules.HISTORY_INSERT, HISTORY, "BEFORE INSERT", *refusals)


def _history_update() -> DatabaseGuard:
    text = f"CONCAT('job ', {_shown('BINARY OLD.job_id', SHOWN)}, ': {rules.ONLY_ADDED}')"
    return _guard(rules.HISTORY_UPDATE, HISTORY, "BEFORE UPDATE", ("TRUE", text))


def _history_delete() -> DatabaseGuard:
    kept = f"EXISTS (SELECT 1 FROM {JOBS} WHERE id = OLD.job_id)"  # noqa: S608 # constants
    text = f"CONCAT('job ', {_shown('BINARY OLD.job_id', SHOWN)}, ': {rules.GOES_WITH_JOB}')"
    return _guard(rules.HISTORY_DELETE, HISTORY, "BEFORE DELETE", (kept, text))
