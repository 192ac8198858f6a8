"""A few seconds of coverage-guided fuzzing; docs/testing.md says how to let it run for longer."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("fuzz_reader.py")
RUNS = 6_000
without_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None and os.environ.get("CI") != "true",
    reason="atheris is not installed: there are wheels for Linux and macOS",
)


@without_atheris
@pytest.mark.process
def test_the_fuzzer_finds_nothing(tmp_path: Path) -> None:
    options = (f"-runs={RUNS}", "-max_total_time=20", "-seed=1", f"-artifact_prefix={tmp_path}/")
    ran = subprocess.run(
        [sys.executable, str(FUZZER), str(tmp_path / "corpus"), *options],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
    done = re.search(r"Done (\d+) runs", ran.stderr)
    assert done is not None
    assert int(done[1]) >= RUNS / 10, "too slow to mean anything"
    assert int(re.findall(r"cov: (\d+)", ran.stderr)[-1]) > 500, "the code under test is not instrumented"
