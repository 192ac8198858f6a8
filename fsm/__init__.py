"""What a replication job is and how it may change: pure, without I/O and without a clock.

`fsm.spec` is the one list of states, events and edges; `fsm.machine.decide` is the one judge.
"""
