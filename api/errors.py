"""Refusals as exceptions, for whoever calls the facade."""

from fsm.decision import Decision


class RefusedError(Exception):
    """An event that a guard, or the table itself, says no to. `decision` carries every failed guard."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.says)
        self.decision = decision


class NotReadyError(Exception):
    """The database is away or polling has not started."""


class StartedBeforeError(RuntimeError):
    """A service is started once; what it had is gone when it was stopped."""

    def __init__(self) -> None:
        super().__init__("this OmaFsm was started before; make another one")
