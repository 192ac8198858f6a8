"""A scenario file that cannot be played is refused with its line, its place and what is allowed."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from cli.main import app
from vma.simulator import units
from vma.simulator.faults import MODES
from vma.simulator.older import Generation
from vma.simulator.scenario import Pace, Restart, Scenario, ScriptedFault
from vma.simulator.scenario_file import BadScenarioError, parse_scenario
from vma.simulator.scripted import Defaults, Ending, ScriptedCopy, ScriptedDisk, Stop
from vma.simulator.units import clock_text

GOOD = """scenario: s
copies:
  - job: job-a
    disks:
      - {size: 20 GiB}
"""
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "simulator.md").read_text()


def complaint(text: str) -> str:
    with pytest.raises(BadScenarioError) as caught:
        parse_scenario(text.encode(), "f.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("20 GiB", "20 GB", "f.yaml:5: copies[0].disks[0].size: '20 GB' is not a size such as"),
        ("20 GiB", "20", "f.yaml:5: copies[0].disks[0].size: 20 is not a size such as"),
        ("20 GiB", "-1 GiB", "is not a size"),
        ("20 GiB", "90 TiB", "less than or equal to 70368744177664"),
        ("20 GiB", "20 GiB, rate: 5 MB/s", "is none of KiB/s, MiB/s, GiB/s"),
        ("20 GiB", "20 GiB, rate: 0 MiB/s", "disks[0].rate: Input should be greater than 0"),
        ("20 GiB", "20 GiB, gap: 5", "disks[0].gap: 5 is not a time such as"),
        ("20 GiB", "20 GiB, changed: 1 GiB", "f.yaml:3: copies[0]: sync is full: changed is for incremental"),
        ("20 GiB", "1 GiB, changed: 2 GiB", "copies[0].disks[0]: changed is more than size"),
        ("disks:", "sync: incremental\n    disks:", "copies[0]: sync is incremental: each disk needs changed"),
        ("disks:", "start: soon\n    disks:", "f.yaml:4: copies[0].start: 'soon' is not a time"),
        ("disks:", "start: replicate\n    spread: 5m\n    disks:", "spread is for copies that start by themselves"),
        ("disks:", "strt: 5m\n    disks:", "f.yaml:4: copies[0].strt: no such key here; allowed: job, vm, count"),
        ("disks:", "count: 3\n    disks:", "job must contain {n}"),
        ("disks:", "ending: fails\n    disks:", "copies[0].ending: 'fails' is no ending"),
        ("disks:", "ending: {failed: {at: 140%}}\n    disks:", "copies[0].ending.failed.at: Input should be less than"),
        ("disks:", "ending: {failed: {at: 40}}\n    disks:", "40 is not a percentage such as"),
        (
            "disks:",
            "ending: {dies: {at: 1%, disk: disk-9}}\n    disks:",
            "names the disk disk-9; the copy has disk-2000",
        ),
        ("disks:", "ending: {dies: {at: 1%}, hangs: {at: 1%}}\n    disks:", "only one of failed, hangs, dies"),
        ("disks:", "key: export\n    disks:", "key is export, but job-a has disks without one"),
        ("job: job-a", "job: a/b", "f.yaml:3: copies[0].job: 'a/b' is no name"),
        ("job: job-a", "vm: web", "job is missing"),
        ("scenario: s", "generation: newest", "scenario: Field required"),
        ("scenario: s", "scenario: s\ngeneration: newest", "f.yaml:2: generation: Input should be 'current'"),
        ("scenario: s", "scenario: s\ngeneration: raw_model\ndefaults: {key: export}", "by their job id only"),
        ("scenario: s", "scenario: s\ntime: fast", "f.yaml:2: time: 'fast' is no pace: real, or accelerate"),
        ("scenario: s", "scenario: s\ntime: {accelerate: 0}", "time.accelerate: Input should be greater than 0"),
        ("scenario: s", "scenario: s\nscenario: t", "f.yaml:2: scenario is there twice"),
        ("scenario: s", "scenario: s\nx: &a [*a]", "aliases (*) are not used here"),
        ("scenario: s", "scenario: [", "f.yaml:3: no YAML"),
        (GOOD, "", "the file is empty"),
        (GOOD, "- a\n", "f.yaml:1"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, says: str) -> None:
    assert says in complaint(GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("faults: [{at: 90s, kind: flood}]", "f.yaml:6: faults[0].kind: Input should be 'hang', 'refuse'"),
        ("faults: [{at: 90s, kind: refuse, keys: [a]}]", "it takes neither keys nor times"),
        ("faults: [{at: 90s, kind: 503, every: 1m}]", "every and repeat go together"),
        ("faults: [{at: 9s, for: 2m, kind: 503, every: 1m, repeat: 2}]", "shorter than every"),
        ("restarts: [{at: 9s}]", "f.yaml:6: restarts[0].copies_survive: Field required"),
        ("restarts: [{at: 9s, copies_survive: true}, {at: 20s, copies_survive: true}]", "while the VMA is still down"),
        ("  - {job: job-a, disks: [{size: 1 GiB}]}", "job-a is there twice"),
    ],
)
def test_faults_restarts_and_copies_must_be_possible_together(more: str, says: str) -> None:
    assert says in complaint(GOOD + more)


def test_everything_wrong_is_said_at_once() -> None:
    said = complaint("scenario: s\ncopies:\n  - job: a b\n    disks: [{size: 1}]\nfaults: [{at: 1, kind: x}]\n")
    assert [line.split(": ")[1] for line in said.splitlines()] == [
        "copies[0].job",
        "copies[0].disks[0].size",
        "faults[0].at",
        "faults[0].kind",
    ]


def test_bare_yaml_words_and_numbers_are_taken_for_kinds_of_faults() -> None:
    scenario = parse_scenario(f"{GOOD}faults: [{{at: 1s, kind: 503}}, {{at: 1s, kind: null}}]".encode(), "f")
    assert [fault.kind for fault in scenario.faults] == ["503", "null"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("-7d", -604800), ("1.5h", 5400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert units.duration(text) == seconds


def test_a_time_of_the_timetable_shows_days_and_sign() -> None:
    assert [clock_text(at) for at in (90, -600, 90061)] == ["+00:01:30", "-00:10:00", "+1d 01:01:01"]


# --- the command


def test_check_prints_the_timetable_and_starts_nothing(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"{GOOD}restarts: [{{at: 2m, down_for: 10s, copies_survive: false}}]\n")
    said = CliRunner().invoke(app, ["simulate-vma", "--scenario", str(file), "--check"])
    assert said.exit_code == 0
    lines = [re.sub(r"\s*│\s*", "|", line).strip("|") for line in said.stdout.splitlines() if "│" in line]
    assert lines == [
        "+00:00:00|copy starts (full)|job-a",
        "+00:02:00|copy dies with the VMA|job-a",
        "+00:02:00|VMA goes down and forgets|copies die too",
        "+00:02:10|VMA is up again|everybody",
    ]


@pytest.mark.parametrize("options", [["--check"], ["--speed", "3"], ["--state", "x"]])
def test_options_that_do_not_go_together_are_refused(options: list[str], tmp_path: Path) -> None:
    scenario = [] if options == ["--check"] else ["--scenario", str(tmp_path / "none.yaml")]
    said = CliRunner().invoke(app, ["simulate-vma", *scenario, *options])
    assert said.exit_code == 2


def test_a_file_that_is_not_there_is_a_message(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["simulate-vma", "--scenario", str(tmp_path / "none.yaml"), "--check"])
    assert (said.exit_code, "none.yaml: No such file" in said.stderr) == (2, True)


# --- the page


def test_the_page_explains_every_fault_and_no_other() -> None:
    table = PAGE[PAGE.index("| fault |") :].split("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert sorted(word for cell in first_cells for word in re.findall(r"`([^`]+)`", cell)) == sorted(MODES)


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("The file", Scenario),
        ("A copy", ScriptedCopy),
        ("A disk", ScriptedDisk),
        ("An ending", Ending),
        ("A fault", ScriptedFault),
        ("A restart", Restart),
    ],
)
def test_the_page_explains_every_key_and_no_other(heading: str, model: type[BaseModel]) -> None:
    section = PAGE[PAGE.index(f"### {heading}\n") :].split("\n### ")[0].split("\n## ")[0]
    table = section[section.index("| key |") :].split("\n\n")[0]
    keys = [word for line in table.splitlines()[2:] for word in re.findall(r"`([^`]+)`", line.split("|")[1])]
    assert keys == [field.alias or name for name, field in model.model_fields.items()]


def test_the_page_names_every_generation_and_the_keys_within_keys() -> None:
    assert all(f"`{word}`" in PAGE for word in get_args(Generation))
    assert all(f"`{name}`" in PAGE for model in (Defaults, Stop, Pace) for name in model.model_fields)
