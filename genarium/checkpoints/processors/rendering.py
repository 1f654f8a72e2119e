"""Asks the process that renders chat templates (`template_process.py`), and starts it where there is none."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("template_process.py")
PATIENCE = 60.0
"""Seconds that are waited for an answer at most: a process that waits takes no processor time, and has no other end."""


class _Renderer:
    """The process, one for all threads. One that has ended is replaced at the next request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def ask(self, request: Mapping[str, Any]) -> dict[str, str]:
        """The answer; of a template that passed its limits, that it did."""
        with self._lock:
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            patience = threading.Timer(PATIENCE, process.kill)
            patience.start()
            try:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except OSError:
                line = ""
            finally:
                patience.cancel()
            if line.endswith("\n"):
                answered: dict[str, str] = json.loads(line)
                return answered
            self.end()
            return {"kind": "broken", "words": "it takes more time or memory than a template may"}

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            # -P: modules beside the program have the names of others.
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
            )
        return self._process

    def end(self) -> None:
        """End the process, where there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


_renderer = _Renderer()
atexit.register(_renderer.end)


def render(source: str, today: str | None, values: Mapping[str, Any]) -> dict[str, str]:
    """`text`, or what went wrong: `kind` is invalid, refused or broken, `words` says more."""
    return _renderer.ask({"source": source, "today": today, "values": values})
