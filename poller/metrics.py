"""Counters and gauges of polling, in a registry of their own so that an embedding service keeps its own names."""

from enum import StrEnum
from math import nan

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from fsm.decision import Decision
from fsm.states import Ending, Verdict


class Drift(StrEnum):
    """What can be wrong between the database and the schedule."""

    MISSING = "missing"  # must be polled, and is not in the schedule or switched off
    OVERDUE = "overdue"  # in the schedule, and its time is long past
    GHOST = "ghost"  # in the schedule, and must not be polled, or not by us
    UNCLAIMED = "unclaimed"  # by its row its time is long past, whoever should have asked


class Metrics:
    """What operators watch."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        polls = Counter("oma_fsm_polls", "Answers applied, by verdict", ["verdict"], registry=self.registry)
        self.polls = {verdict: polls.labels(verdict.value) for verdict in Verdict}
        self.transitions = Counter(
            "oma_fsm_transitions", "Transitions made", ["edge", "to_state", "ending"], registry=self.registry
        )
        self.orphans = Counter(
            "oma_fsm_orphans_detected", "Drift found by the health monitor", ["kind"], registry=self.registry
        )
        self.restarted = Counter("oma_fsm_polling_restarted", "Jobs put back to polling", registry=self.registry)
        self.inferred = Counter("oma_fsm_inferred_ends", "Ends concluded from silence", registry=self.registry)
        self.overturned = Counter("oma_fsm_overturned_ends", "Inferences undone by evidence", registry=self.registry)
        self.drift = Gauge("oma_fsm_drift", "Jobs that should be polled and were not", registry=self.registry)
        self.scheduled = Gauge("oma_fsm_scheduled_jobs", "Jobs in the schedule", registry=self.registry)
        self.lateness = Histogram(
            "oma_fsm_poll_lateness_seconds",
            "How long after its time a job was taken from the schedule",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.waiting = Gauge(
            "oma_fsm_requests_waiting",
            "Requests that wait until their appliance has room",
            registry=self.registry,
        )
        self.shares = Gauge("oma_fsm_shares", "Of 64 shares of all jobs, those of this replica", registry=self.registry)
        self.monitor_age = Gauge(
            "oma_fsm_monitor_last_cycle_timestamp_seconds",
            "When the monitor last looked, or began",
            registry=self.registry,
        )

        self.monitor_age.set(nan)  # no monitor: it is not late
        for kind in Drift:  # with 0: of a series that begins with its first one nobody sees that it grew
            self.orphans.labels(kind.value)

    def count(self, decision: Decision) -> None:
        """Count a decision that was applied."""
        if decision.evidence is not None:
            self.polls[decision.evidence.verdict].inc()
        if not decision.moved:
            return
        ending = decision.after.ending
        self.transitions.labels(decision.edge, decision.after.state.value, ending.value if ending else "").inc()
        if ending is Ending.INFERRED:
            self.inferred.inc()
        by_evidence = decision.evidence is not None and decision.after.state is not decision.before.state
        if decision.before.ending is Ending.INFERRED and by_evidence:
            self.overturned.inc()
