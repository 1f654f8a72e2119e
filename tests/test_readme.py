"""The README's commands work as they stand there, one after the other, in an empty folder and without a network.

Blocks marked `sh` are run; blocks marked `console` show what came out, and those marked `sh network` need a hub.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)


def blocks(language: str, note: str = "") -> list[str]:
    text = (ROOT / "README.md").read_text("utf-8")
    return [code for found, more, code in BLOCK.findall(text) if found == language and more.strip() == note]


def commands() -> list[str]:
    joined = "\n".join(blocks("sh")).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith(("#", "make "))]


def test_the_two_commands_are_make_targets() -> None:
    lines = "\n".join(blocks("sh")).splitlines()
    for command in ("make demo", "make test"):
        assert any(line.startswith(command) for line in lines)
        assert f"\n{command.removeprefix('make ')}:" in (ROOT / "Makefile").read_text()


def test_every_command_works(tmp_path: Path, home: Path) -> None:
    """In one shell session, as a reader types them."""
    work = tmp_path / "work"
    work.mkdir()
    env = os.environ | {
        "GENARIUM_HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
    }
    assert len(commands()) >= 8
    for command in commands():
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], cwd=work, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr


def test_the_python_in_it_runs(home: Path) -> None:
    for code in blocks("python"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


@pytest.mark.parametrize("document", sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]), ids=lambda p: p.name)
def test_links_and_images_are_there(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", document.read_text("utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"
