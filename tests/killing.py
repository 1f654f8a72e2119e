"""A training run that dies at a known place: no clock decides how far it comes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence

DOOMED = """
import os, signal, sys
from genarium.cli.main import main
from genarium.training import state

write, written, last, where = state.write, 0, int(sys.argv.pop(1)), sys.argv.pop(1)

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def counted(*given, **more):
    global written
    if written == last and where == "before":
        die()
    if written == last:
        os.fsync = die  # its bytes lie beside the one before, which it does not replace
    write(*given, **more)
    written += 1

state.write = counted
main()
"""


def killed_after(checkpoints: int, arguments: Sequence[str], *, where: str = "before") -> None:
    """`genarium ARGUMENTS` that writes so many checkpoints and is killed `before` or `within` the next."""
    code = [sys.executable, "-c", DOOMED, str(checkpoints), where, *arguments]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
