"""Frames to files: processor seconds and bytes of each form, of a drawn scene and of a texture that drifts.

    PYTHONPATH=. python benchmarks/encoding.py

Medians of five rounds, one thread; the table of docs/video.md#figures.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from genarium.artefacts import encoding
from tests.moving import moving

CLIPS = ((24, 64), (30, 256))
TAGS = {"genarium": "x" * 900}
ROUNDS = 5


def texture(count: int, side: int) -> np.ndarray:
    """Frames (count, side, side, 3) of blocks of all sizes, which drift by two pixels a frame and one down."""
    random = np.random.default_rng(0)
    whole = np.zeros((2 * side, 2 * side, 3))
    for block in (4, 8, 16, 32, 64):
        coarse = random.normal(size=(2 * side // block, 2 * side // block, 3))
        whole += block * np.kron(coarse, np.ones((block, block, 1)))
    whole = ((whole - whole.min()) / np.ptp(whole) * 255).astype(np.uint8)
    return np.stack([whole[number : number + side, 2 * number : 2 * number + side] for number in range(count)])


def measure(frames: np.ndarray, suffix: str) -> tuple[float, int]:
    """Processor seconds (median) and bytes of the file."""
    seconds, content = [], b""
    for _ in range(ROUNDS):
        began = time.process_time()
        content = encoding.written(frames, 8, suffix, TAGS)
        seconds.append(time.process_time() - began)
    return statistics.median(seconds), len(content)


if __name__ == "__main__":
    for count, side in CLIPS:
        for what, frames in (("scene", moving(count, side, side)), ("texture", texture(count, side))):
            for suffix in (".mp4", ".webm", ".gif", ".png"):
                taken, size = measure(frames, suffix)
                print(f"{count} frames of {side}x{side}, {what:7}  {suffix:5}  {taken:6.3f} s  {size / 1024:8.1f} KiB")
