"""Users' videos, read safely: frames evenly chosen, in bounded time and memory.

A file is decoded by a process of its own (`video_reader.py`), with limits on its memory and its time: a hostile or
damaged one ends that process, not this one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genarium import files
from genarium.data import video_reader
from genarium.errors import BadInput
from genarium.extras import require

if TYPE_CHECKING:
    import numpy as np

ENDINGS = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ogv", ".wmv", ".flv", ".3gp")
STILL = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
"""Brands of ISO files that hold pictures."""
LARGEST = 1024
"""Pixels along the longer side of a frame that is looked at: no model here sees more."""
WAITED = 120.0
"""Seconds that a file is read for; the process itself may compute for a part of them."""


@dataclass(frozen=True)
class Film:
    """`frames` (F, height, width, 3) uint8, each shown at its place of `times`; all of it plays for `seconds`."""

    frames: np.ndarray
    times: list[float]
    fps: float
    seconds: float


def is_video(file: Path) -> bool:
    """Whether a file is a video, by its name or its first bytes. Moving GIF and PNG files count as pictures."""
    if file.suffix.lower() in ENDINGS:
        return True
    try:
        with file.open("rb") as opened:
            head = opened.read(12)
    except OSError:
        return False
    if head[4:8] == b"ftyp":
        return head[8:12] not in STILL
    return head.startswith((b"\x1aE\xdf\xa3", b"FLV\x01")) or (head[:4] == b"RIFF" and head[8:] == b"AVI ")


def read_video(file: Path, *, name: str | None = None) -> Film:
    """Every frame at its own size. Raises BadInput where they are more than a gigabyte, or as `sampled` does."""
    return _read(file, 0, 0, name or str(file))


def sampled(file: Path, most: int, *, name: str | None = None) -> Film:
    """At most so many frames, those in the middle of equal parts, with a longer side of LARGEST pixels at most.

    Raises BadInput in one sentence, which names the file `name`, and MissingPackage.
    """
    return _read(file, most, LARGEST, name or str(file))


def _read(file: Path, most: int, largest: int, name: str) -> Film:
    import numpy as np

    require("reading a video", "av")
    command = [sys.executable, "-P", video_reader.__file__, str(file.resolve()), str(most), str(largest)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=WAITED, check=False)
    except subprocess.TimeoutExpired:
        raise BadInput(f"{name} takes longer to read than {WAITED:.0f} seconds; make it shorter or smaller") from None
    except OSError as error:
        raise BadInput(f"{name} can't be read: no process starts to read it ({files.reason(error)})") from None
    head, _, rest = done.stdout.partition(b"\n")
    if done.returncode != 0 or not head:
        raise BadInput(f"{name} is damaged, or takes more time or memory than a video is given; save it again, smaller")
    about = json.loads(head)
    if "error" in about:
        raise BadInput(f"{name} {about['error']}")
    shape = (-1, about["height"], about["width"], 3)
    return Film(np.frombuffer(rest, np.uint8).reshape(shape), about["times"], about["fps"], about["seconds"])
