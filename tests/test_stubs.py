"""What editors read of the package is what it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_editors_see_the_arguments_that_tasks_take() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/make_stubs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
