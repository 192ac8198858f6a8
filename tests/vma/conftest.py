"""Captures of real appliances are not in the repository: without them their tests are left out, but never in CI."""

import os

from capture_files import FOLDER

collect_ignore = (
    [] if FOLDER.is_dir() or os.environ.get("CI") == "true" else ["test_captures.py", "test_simulator_captures.py"]
)
