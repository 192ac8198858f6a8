"""Diagrams of every kind that a view makes, and of the kinds that only a malicious label makes."""

from fsm.render.model import Arrow, Caption, Diagram, Group, Node, Role, Tone
from fsm.render.views import of, whole
from fsm.spec import EDGES, Kind

MOVES = [e for e in EDGES if e.kind is Kind.MOVE]
NASTY = "< > & \" ' ; : # ]]> <script>\n\t\x00\x1b[31m\ud800 \u202egnp\u202c 😀 日本語 " + "Wm" * 60


def _caption(event: str, *guards: str, effects: tuple[str, ...] = ()) -> Caption:
    return Caption(event, f"{event}_edge", guards, effects)


def happy() -> Diagram:
    """From birth to a confirmed completion."""
    names = {"create", "attach", "configure", "ready_attaching", "ready", "start", "vma_completed"}
    edges = [e for e in MOVES if e.event.value in names and not set(e.sources) & {"completed", "failed"}]
    return of("happy", "The happy path", "From creation to a completion that the VMA confirmed.", edges)


def recovery() -> Diagram:
    """What the answers of the VMA do."""
    edges = [e for e in MOVES if e.event.value.startswith("vma_")]
    return of("recovery", "Recovery", "What becomes of a job when the VMA is asked about it.", edges)


def operator() -> Diagram:
    """What a person can do."""
    edges = [e for e in MOVES if any(g.name == "by_operator" for g in e.guards)]
    return of("operator", "By hand", "What an operator can decide, with name and reason.", edges)


def neighbourhood() -> Diagram:
    """One state, what leads in and out, and at which events a job stays."""
    edges = [e for e in MOVES if "replicating" in e.sources or e.target == "replicating"]
    base = of("replicating", "Around replicating", "What leads in, what leads out, and what keeps a job there.", edges)
    inner = (
        _caption("vma_running", effects=("record_progress",)),
        _caption("vma_not_found", "not ripe, or polled for < 30 s, or never seen and replicating < 2 min"),
        _caption("vma_unreachable", "last sign of life < 30 min ago, or not ripe", effects=("keep_polling",)),
    )
    nodes = tuple(
        Node(n.id, n.label, n.role, inner=inner, lit=True) if n.id == "replicating" else n for n in base.nodes
    )
    return Diagram(base.name, base.title, base.description, nodes, base.arrows, base.groups)


def path() -> Diagram:
    """What happened to one job."""
    nodes = (
        Node("birth", "", Role.BIRTH),
        Node("initializing", "initializing", Role.SETUP, ("2 s",)),
        Node("attaching", "attaching", Role.SETUP, ("41 s",)),
        Node("ready_for_sync", "ready_for_sync", Role.SETUP, ("3 s",)),
        Node("replicating", "replicating", Role.ACTIVE, ("1 h 12 min in 2 visits", "since 14:02"), lit=True),
        Node("failed", "failed", Role.ENDED, ("6 min",)),
    )
    steps = (
        ("birth", "initializing", Tone.PLAIN, "create", "workflow · 12:40:03"),
        ("initializing", "attaching", Tone.PLAIN, "attach", "workflow · 12:40:05"),
        ("attaching", "attaching", Tone.REFUSED, "ready", "refused: every disk has a volume (1 of 2)"),
        ("attaching", "ready_for_sync", Tone.PLAIN, "ready", "workflow · 12:40:46"),
        ("ready_for_sync", "replicating", Tone.PLAIN, "start", "workflow · 12:40:49"),
        ("replicating", "failed", Tone.INFERRED, "vma_unreachable", "poll · 13:20:11 · silent for 30 min"),
        ("failed", "replicating", Tone.REVIVED, "vma_running", "monitor · 13:26:40 · overturned"),
        ("replicating", "replicating", Tone.REFUSED, "complete", "refused: a reason is given (none)"),
    )
    arrows = tuple(Arrow(s, t, tone, (_caption(e),), i + 1, note) for i, (s, t, tone, e, note) in enumerate(steps))
    groups = (Group("setup", "setup", ("initializing", "attaching", "ready_for_sync")),)
    return Diagram("job-7f3a", "Job 7f3a", "Its path: eight steps, two refused.", nodes, arrows, groups)


def fleet() -> Diagram:
    """The whole machine with the numbers of a fleet."""
    base = whole()
    nodes = tuple(
        Node(n.id, n.label, n.role, (f"{7 * i + 1} jobs", f"median {i * 3} min"), heat=i / 7)
        for i, n in enumerate(base.nodes)
    )
    arrows = tuple(
        Arrow(
            a.source,
            a.target,
            a.tone,
            tuple(_caption(c.event) for c in a.captions),
            note=f"{i * 13} times",
            heat=i / 24,
        )
        for i, a in enumerate(base.arrows)
    )
    return Diagram(
        "fleet", "The fleet", "Jobs for each state, and how often each edge was taken.", nodes, arrows, base.groups
    )


def nasty() -> Diagram:
    """Labels that want to break out of the picture."""
    caption = Caption(NASTY, NASTY, (NASTY, NASTY), (NASTY,))
    nodes = (
        Node("a", NASTY, Role.SETUP, (NASTY,), (caption,)),
        Node('b"', NASTY, Role.ACTIVE),
        Node("c", NASTY, Role.ENDED),
    )
    arrows = (
        Arrow("a", 'b"', Tone.PLAIN, (caption,), note=NASTY),
        Arrow('b"', "a", Tone.REFUSED, (caption, caption), number=12345, note=NASTY),
        Arrow("g", "c", Tone.INFERRED, (caption,)),
        Arrow("c", "c", Tone.REFUSED, (caption,)),
        Arrow("a", "a", Tone.REFUSED, (caption,)),
    )
    return Diagram(NASTY, NASTY, NASTY, nodes, arrows, (Group("g", NASTY, ("a", 'b"')),))


def alone() -> Diagram:
    """The least diagram."""
    return Diagram("alone", "Alone", "One state.", (Node("completed", "completed", Role.ENDED),), ())


SAMPLES = {f.__name__: f for f in (whole, happy, recovery, operator, neighbourhood, path, fleet, nasty, alone)}
