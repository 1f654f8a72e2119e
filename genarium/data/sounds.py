"""Users' sounds, read safely: any file with sound in it as mono float32 at the rate that is wanted, piece by piece.

A file is decoded by a process of its own (`sound_reader.py`), with limits on its memory and its time; what comes is
read from a pipe, so that a file of hours is never in memory whole.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium import files
from genarium.data import sound_reader
from genarium.data.videos import ENDINGS as VIDEO_ENDINGS
from genarium.errors import BadInput
from genarium.extras import require
from genarium.progress import note

if TYPE_CHECKING:
    import numpy as np

ENDINGS = (".wav", ".mp3", ".flac", ".ogg", ".opus", ".oga", ".m4a", ".aac", ".aiff", ".aif", ".wma", ".amr", ".caf")
HEARD = (*ENDINGS, *VIDEO_ENDINGS)
"""Endings of what may have sound in it."""
LOUDEST = 1.0
BLOCK = 2**16


@dataclass(frozen=True)
class Sound:
    """`samples` (n,) float32 in [-1, 1], `rate` of them a second."""

    samples: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


@dataclass(frozen=True)
class About:
    """What a file says of itself: its own rate and channels, and its length in seconds, 0 where it doesn't say."""

    rate: int
    channels: int
    seconds: float


def read(file: Path, rate: int, *, name: str | None = None) -> Sound:
    """All of a sound. Raises BadInput in one sentence, which names the file `name`, and MissingPackage."""
    import numpy as np

    with pieces(file, rate, seconds=60.0, name=name) as (_, parts):
        return Sound(np.concatenate(list(parts)), rate)


@contextlib.contextmanager
def pieces(
    file: Path, rate: int, *, seconds: float, name: str | None = None
) -> Iterator[tuple[About, Iterator[np.ndarray]]]:
    """What the file is, and its samples in pieces of so many seconds; the last one is what is left.

    Raises BadInput in one sentence, at the beginning or amid the pieces, and MissingPackage.
    """
    require("reading a sound", "av")
    called = name or str(file)
    if not file.is_file():
        raise BadInput(f"there is no file {called!r}; name a sound or a video")
    command = [sys.executable, "-P", sound_reader.__file__, str(file.resolve()), str(rate)]
    with tempfile.TemporaryFile() as told:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=told)
        except OSError as error:
            raise BadInput(f"{called} can't be read: no process starts to read it ({files.reason(error)})") from None
        assert process.stdout is not None
        try:
            head = process.stdout.readline()
            about = _about(head, called)
            yield about, _parts(process, told, round(seconds * rate), called)
        finally:
            process.stdout.close()
            process.kill()
            process.wait()


def _about(head: bytes, called: str) -> About:
    try:
        told = json.loads(head)
    except ValueError:
        raise BadInput(
            f"{called} is damaged, or takes more time or memory than a sound is given; save it again"
        ) from None
    if "error" in told:
        raise BadInput(f"{called} {told['error']}")
    return About(**told)


def _parts(process: subprocess.Popen[bytes], told: Any, size: int, called: str) -> Iterator[np.ndarray]:
    import numpy as np

    assert process.stdout is not None
    given = 0
    while block := process.stdout.read(4 * size):
        samples = np.frombuffer(block[: len(block) // 4 * 4], np.float32)
        given += len(samples)
        yield samples.clip(-LOUDEST, LOUDEST)
    code = process.wait()
    told.seek(0)
    last = told.read().decode(errors="replace").strip().splitlines()[-1:]
    error = json.loads(last[0])["error"] if last and last[0].startswith('{"error"') else None
    if error is not None and given and "left out" in error:
        note(f"{called} {error}")
    elif error is not None:
        raise BadInput(f"{called} {error}")
    elif code:
        raise BadInput(f"{called} is damaged, or takes more time or memory than a sound is given; save it again")
