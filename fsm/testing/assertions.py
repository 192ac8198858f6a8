"""Assertions about decisions that say, when they fail, what was decided and why."""

from collections.abc import Iterable

from fsm.decision import Decision, Outcome
from fsm.states import Ending, State


def assert_moved(decision: Decision, to: State | str, ending: Ending | str | None = None) -> None:
    """The job moved to `to`, with this ending (None: it did not end). AssertionError with the decision's text."""
    __tracebackhide__ = True
    target, how = State(to), None if ending is None else Ending(ending)
    _expect(decision.moved and decision.after.state is target, f"a move to {target}", decision)
    _expect(decision.after.ending is how, f"the ending {how}" if how else "no ending", decision)


def assert_refused(decision: Decision, because: str | Iterable[str] | None = None) -> None:
    """The event was refused, and by just these guards (None: by whichever). AssertionError with the decision's text.

    An event that the table does not have in this state is illegal, which is not a refusal.
    """
    __tracebackhide__ = True
    _expect(decision.outcome is Outcome.REFUSED, "a refusal", decision)
    if because is not None:
        wanted = {because} if isinstance(because, str) else set(because)
        found = {v.name for v in decision.refusals}
        _expect(found == wanted, f"a refusal by {', '.join(sorted(wanted))}", decision)


def _expect(holds: bool, what: str, decision: Decision) -> None:
    __tracebackhide__ = True
    if not holds:
        said = "".join(f"\n  {verdict}" for verdict in dict.fromkeys(decision.refusals))
        msg = f"expected {what}; the decision was:\n  {decision.says}" + (
            f"\nguards that said no:{said}" if said else ""
        )
        raise AssertionError(msg)
