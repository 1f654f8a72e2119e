"""The `genarium` command, and `python -m genarium`: Ctrl-C is answered in a sentence from the first moment on."""

from __future__ import annotations

import os
import signal
from types import FrameType


def start() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, _interrupt)
    from genarium.cli.main import main

    main()


def _interrupt(_signal: int, frame: FrameType | None) -> None:
    """KeyboardInterrupt, as always; but inside an import the process ends at once.

    Extensions such as numpy's and torch's, interrupted while they load, answer with errors of their own or abort. What
    was finished is kept by then, and a folder that was being filled is swept away at the next start.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, b"\ngenarium: stopped; what was finished is kept, nothing is half-written\n")
            os._exit(130)
        frame = frame.f_back
    raise KeyboardInterrupt


if __name__ == "__main__":
    start()
