"""`oma-fsm diagram`: printed, written and checked, of the machine, of one job and of all."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import diagram_files
from cli.main import app
from db.engine import make_engine
from db.jobs import NewDisk, NewJob
from db.store import Store
from fsm.facts import Asked
from fsm.policy import DEFAULT_POLICY
from fsm.render.ascii import outline
from fsm.render.formats import FORMATS, Format
from fsm.render.mermaid import mermaid
from fsm.render.model import Diagram
from fsm.render.views import names, view
from fsm.states import Asker, Event
from migrations import runner

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)
DOCUMENT = "# Recovery\n\n<!-- oma-fsm:diagram view=recovery -->\n<!-- oma-fsm:end -->\n\nMore.\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["diagram", *arguments])


def said(result: Result) -> str:
    """What was written on either channel, on one line."""
    return " ".join((result.output + result.stderr).split())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose diagrams and documents are up to date."""
    monkeypatch.chdir(tmp_path)
    for folder in ("diagrams", "docs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "README.md").write_text(DOCUMENT)
    (tmp_path / "docs" / "notes.rst").write_text(".. oma-fsm:diagram view=happy format=dot\n.. oma-fsm:end\n")
    assert run("--write").exit_code == 0
    return tmp_path


# --- printed and written ---------------------------------------------------------------------------


def test_without_a_word_the_whole_machine_is_printed_for_mermaid() -> None:
    assert run().output == mermaid(view("machine"))


@pytest.mark.parametrize("arguments", [("state:failed", "--format", "ascii"), ("--state", "failed", "-f", "ascii")])
def test_a_view_is_printed_in_the_format_that_is_asked_for(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).output == outline(view("state:failed"))


def test_a_file_is_written_in_the_format_that_its_name_says(tmp_path: Path) -> None:
    file = tmp_path / "happy.dot"
    assert run("happy", str(file)).exit_code == 0
    assert file.read_bytes() == FORMATS["dot"].bytes(view("happy"))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("machina",), "no view 'machina'; known are machine, happy, recovery, operator, state:initializing"),
        (("machine", "-f", "pdf"), "no format 'pdf'; known are mermaid, dot, table, svg, png, ascii"),
        (("--state", "failed", "--fleet"), "of --state, --job and --fleet only one can be shown"),
        (("--check", "--write"), "not with each other"),
        (("--check", "--fleet"), "go with files only"),
        (("machine", "a.mmd", "b.mmd"), "expected a view and a file"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(arguments: tuple[str, ...], why: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, why in said(result)) == (2, True), said(result)


def test_a_picture_is_not_printed_on_a_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(FORMATS, "png", Format(lambda _: b"\x89PNG", ".png", "image/png", picture=True))
    assert "png is a picture: name a file" in said(run("machine", "-f", "png"))
    assert run("machine", str(tmp_path / "m.png")).exit_code == 0
    assert (tmp_path / "m.png").read_bytes() == b"\x89PNG"


# --- checked -----------------------------------------------------------------------------------------


def test_the_committed_diagrams_and_documents_are_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = run("--check")
    assert (result.exit_code, result.output) == (0, "")


def test_what_was_written_is_fresh_and_has_every_view(project: Path) -> None:
    result = run("--check")
    assert (result.exit_code, result.output) == (0, "")
    assert {f.stem for f in (project / "diagrams").iterdir()} == {name.replace(":", "-") for name in names()}
    assert mermaid(view("recovery")) in (project / "README.md").read_text()
    assert ".. graphviz::" in (project / "docs" / "notes.rst").read_text()


def test_a_stale_diagram_is_refused_with_a_diff_and_the_command_that_mends_it(project: Path) -> None:
    file = project / "diagrams" / "machine.mmd"
    file.write_text(file.read_text().replace("--> replicating : start\n", "--> failed : start\n"))
    stale = run("--check")
    assert stale.exit_code == 1
    assert "-    ready_for_sync --> failed : start\n+    ready_for_sync --> replicating : start\n" in stale.output
    assert "diagrams/machine.mmd: stale; mended by `oma-fsm diagram --write`" in stale.output
    assert run("--write").output == "written: diagrams/machine.mmd\n"
    assert run("--check").exit_code == 0


def test_a_stale_document_is_refused_by_name_alone(project: Path) -> None:
    (project / "README.md").write_text(DOCUMENT)
    assert run("--check", "docs/notes.rst", "diagrams/machine.mmd").exit_code == 0
    stale = run("--check", "README.md")
    assert (stale.exit_code, "+stateDiagram-v2" in stale.output) == (1, True)
    assert "mended by `oma-fsm diagram --write README.md`" in stale.output


def test_a_missing_diagram_is_stale_and_one_of_no_view_is_to_be_deleted(project: Path) -> None:
    (project / "diagrams" / "happy.dot").rename(project / "diagrams" / "sad.dot")
    stale = run("--check")
    assert stale.exit_code == 1
    assert "diagrams/happy.dot: stale" in stale.output
    assert "diagrams/sad.dot: belongs to no view; delete it" in stale.output


def test_an_edge_that_lies_in_no_view_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagram_files, "uncovered", lambda: ["lost", "garbled"])
    result = run("--check")
    assert (result.exit_code, "no view shows lost, garbled" in result.output) == (1, True)


def test_the_picture_that_a_document_points_to_is_written_and_checked(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, "svg", Format(lambda d: f"<svg>{d.name}</svg>", ".svg", "image/svg+xml", picture=True))
    page = project / "docs" / "page.md"
    page.write_text("<!-- oma-fsm:diagram view=happy format=svg file=img/happy.svg -->\n<!-- oma-fsm:end -->\n")
    assert run("--write", "docs/page.md").exit_code == 0
    assert (project / "docs" / "img" / "happy.svg").read_text() == "<svg>happy</svg>"
    assert "](img/happy.svg)" in page.read_text()
    (project / "docs" / "img" / "happy.svg").write_text("<svg/>")
    assert "docs/img/happy.svg: stale" in run("--check", "docs/page.md").output


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<!-- oma-fsm:diagram view=recovry -->\n<!-- oma-fsm:end -->\n", "docs/a.md:1: no view 'recovry'"),
        ("\n<!-- oma-fsm:diagram view=happy -->\n", "docs/a.md:2: no end: add a line `<!-- oma-fsm:end -->`"),
    ],
)
def test_a_wrong_placeholder_is_named_with_file_and_line(project: Path, text: str, why: str) -> None:
    (project / "docs" / "a.md").write_text(text)
    for what in ("--write", "--check"):
        result = run(what, "docs/a.md")
        assert (result.exit_code, why in said(result)) == (2, True), said(result)
    assert (project / "docs" / "a.md").read_text() == text


def test_a_file_of_no_view_or_of_no_text_is_refused(project: Path) -> None:
    assert "diagrams/sad.mmd: no view has this name; known are machine" in said(run("--write", "diagrams/sad.mmd"))
    (project / "docs" / "a.md").write_bytes(b"\xff\xfe")
    assert "docs/a.md: is not UTF-8 text" in said(run("--check", "docs/a.md"))


def test_without_a_folder_for_diagrams_the_files_must_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no folder diagrams/ here" in said(run("--check"))


_PRINT_ALL = """
from fsm.render.formats import FORMATS
from fsm.render.views import names, view
for name in names():
    for form in FORMATS.values():
        print(form.bytes(view(name)))
"""


def _bytes(seed: str, locale: str) -> bytes:
    environment = {"PYTHONHASHSEED": seed, "LC_ALL": locale, "PYTHONPATH": str(ROOT)}
    made = subprocess.run([sys.executable, "-c", _PRINT_ALL], env=environment, capture_output=True, check=True)
    return made.stdout


def test_the_bytes_depend_on_neither_hash_seed_nor_locale() -> None:
    first = _bytes("1", "C")
    assert len(first) > 50_000
    assert _bytes("2", "C.UTF-8") == first


# --- of jobs -----------------------------------------------------------------------------------------


@pytest.fixture
def job_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A job that an operator has failed."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    monkeypatch.setenv("OMA_FSM_DATABASE_URL", url)
    engine = make_engine(url)
    runner.upgrade(engine)
    store = Store(engine, DEFAULT_POLICY)
    new = NewJob("web-01", "vm-101", "/DC1/vm/web-01", "vcenter", disks=(NewDisk("disk-2000", 40 << 30),))
    job_id = store.create(new, NOW, asked=Asked(), asked_about={}).after.job_id
    store.fire(job_id, Event.FAIL, NOW, asked=Asked(Asker.OPERATOR, "jane", "wrong VM: \x1b[31mstop"))
    engine.dispose()
    return job_id


def test_the_path_of_a_job_is_read_from_the_database(job_id: str) -> None:
    shown = run("--job", job_id, "-f", "ascii")
    assert shown.exit_code == 0
    assert "1. (new) --> initializing" in shown.output
    assert "2. initializing --> failed (manual)" in shown.output
    assert "operator jane: wrong VM: \ufffd[31mstop, 2026-11-24 03:12:00Z" in shown.output
    assert "* failed  (ended, now)" in shown.output


def test_the_fleet_is_read_from_the_database_into_a_file(job_id: str) -> None:
    assert run("--fleet", "fleet.dot").exit_code == 0
    text = Path("fleet.dot").read_text()
    assert '"failed" [label="failed\\n1 job"' in text
    assert "operator_fails" not in text
    assert "once" in text


def test_a_job_that_there_is_not_and_a_database_that_there_is_not_are_told(job_id: str) -> None:
    assert "no job 'job-0'" in said(run("--job", "job-0"))
    assert "no such database" in said(run("--fleet", "--database-url", "sqlite:///nowhere.db"))
    assert not Path("nowhere.db").exists()


def test_every_renderer_of_the_registry_can_draw_every_view() -> None:
    for name, form in FORMATS.items():
        draw: Callable[[Diagram], str | bytes] = form.render
        for shown in map(view, names()):
            assert draw(shown), (name, shown.name)
