"""`genarium ask` in a terminal: questions that refer to those before them."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from genarium.cli.main import genarium
from genarium.errors import BadInput
from genarium.ledger import Ledger

SHOP = """# Kornblum bakery

On weekdays the bakery opens at 6 in the morning and closes at 18.

On Sundays the bakery opens at 8 in the morning and closes at 11.

The oven was built by Ilse Marten of Erlau.
"""


@pytest.fixture
def index(tmp_path: Path) -> str:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "bakery.md").write_text(SHOP)
    done = CliRunner().invoke(genarium, ["index", str(tmp_path / "shop")], standalone_mode=False)
    assert done.exception is None, done.exception
    return "shop"


def talked(index: str, *lines: str, until: str) -> str:
    """What a terminal shows while these lines are typed, one after each answer."""
    above, below = pty.openpty()
    command = [sys.executable, "-m", "genarium", "ask", "--index", index, "--min-support", "0.2"]
    with subprocess.Popen(command, stdin=below, stdout=below, stderr=below, close_fds=True) as process:
        os.close(below)
        shown, waiting, end = b"", list(lines), time.monotonic() + 120
        while time.monotonic() < end:
            if waiting and shown.count(b"> ") >= len(lines) - len(waiting) + 1:
                os.write(above, waiting.pop(0).encode() + b"\n")
            if not select.select([above], [], [], 0.2)[0]:
                continue
            try:
                piece = os.read(above, 4096)
            except OSError:  # it has ended
                break
            if not piece:
                break
            shown += piece
        process.wait(timeout=60)
    os.close(above)
    assert until.encode() in shown, shown.decode()
    return shown.decode()


def test_a_follow_up_in_a_terminal_is_answered_by_what_went_before(index: str) -> None:
    shown = talked(index, "When does the bakery open on weekdays?", "and on Sundays?", "/quit", until="understood as")
    assert "at 6 in the morning" in shown
    assert "understood as: When does the bakery open on Sundays?" in shown
    assert "at 8 in the morning" in shown
    with Ledger() as ledger:
        second, first = ledger.history()
    assert second.recipe.arguments["history"] == ["When does the bakery open on weekdays?"]
    assert first.recipe.arguments["history"] == []
    assert second.facts["question"] == "and on Sundays?"
    assert "closes at 11" in second.facts["text"]


def test_without_a_terminal_a_question_is_needed(index: str) -> None:
    for more in ([], ["--json"]):
        done = CliRunner().invoke(genarium, ["ask", "--index", index, *more], standalone_mode=False)
        assert isinstance(done.exception, BadInput)
        assert "give" in str(done.exception)
