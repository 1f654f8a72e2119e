"""Users' videos, read safely: frames evenly chosen, in bounded time and memory.

A file is decoded by a process of its own (`video_reader.py`), with limits on its memory and its time: a hostile or
damaged one ends that process, not this one.
"""

from __future__ import annotations

from pathlib import Path

ENDINGS = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ogv", ".wmv", ".flv", ".3gp")


def is_video(file: Path) -> bool:
    """Whether a file is a video, by its name or its first bytes. Moving GIF and PNG files count as pictures."""
    if file.suffix.lower() in ENDINGS:
        return True
    try:
        with file.open("rb") as opened:
            head = opened.read(12)
    except OSError:
        return False
    return (
        (head[4:8] == b"ftyp" and head[8:12] not in STILL)
        or head.startswith((b"\x1aE\xdf\xa3", b"FLV\x01"))
        or (head[:4] == b"RIFF" and head[8:] == b"AVI ")
    )


STILL = (b"avif", b"heic", b"heix", b"mif1")
"""Brands of ISO files that hold one picture."""
