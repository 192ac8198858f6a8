"""What the log says about a decision: transitions at INFO or WARNING, single polls at DEBUG."""

import structlog

from fsm.decision import Decision
from fsm.states import Effect, Ending, Verdict

log = structlog.get_logger("oma_fsm")


def report(decision: Decision) -> None:
    """Log a decision for an operator: what happened, to which job, by which rule, what was said."""
    if decision.moved:
        _report_move(decision)
    if decision.asked.by.is_recovery:
        _report_recovery(decision)
    if decision.evidence is not None:
        log.debug("poll", job_id=decision.before.job_id, verdict=decision.evidence.verdict, outcome=decision.outcome)
    if decision.after.memory.attention not in (None, decision.before.memory.attention):
        log.warning(
            "Job needs an operator",
            job_id=decision.before.job_id,
            reason=decision.after.memory.attention,
            rule=decision.edge,
        )


def _report_move(decision: Decision) -> None:
    after = decision.after
    fields = {
        "job_id": after.job_id,
        "from_state": decision.source,
        "to_state": after.state,
        "rule": decision.edge,
        "asked_by": decision.asked.by,
        "reason": decision.reason,
        "percent": round(after.percent, 1),
    }
    if after.ending is Ending.INFERRED:
        log.warning("Job ended by inference; it stays under watch", **fields)
    elif decision.before.ending is Ending.INFERRED and after.active:
        log.warning("Inferred end overturned: the job runs", **fields)
    else:
        log.info("Job moved", **fields)
    if Effect.RESTART_POLLING in decision.effects:
        log.info("Restarted VMA progress polling", job_id=after.job_id, rule=decision.edge)


def _report_recovery(decision: Decision) -> None:
    evidence, after = decision.evidence, decision.after
    if evidence is None:
        return
    if evidence.verdict is Verdict.RUNNING:
        log.info("Job still active on VMA", job_id=after.job_id, percent=round(after.percent, 1))
    elif evidence.verdict is Verdict.UNREACHABLE and after.active:
        log.warning("VMA unreachable; job stays and is asked again", job_id=after.job_id, error=evidence.error)
    if after.polled and Effect.RESTART_POLLING not in decision.effects:
        log.info("Restarted VMA progress polling", job_id=after.job_id, state=after.state)
