"""Layers laid over a background, each where its pose says: how a picture is put together from parts that move.

A layer is drawn once, and every frame shows it moved, scaled and turned (Wang and Adelson 1994, "Representing moving
images with layers"; sampled as by Jaderberg et al. 2015, arXiv:1506.02025, section 3.3). So a thing keeps its look.

Shapes: F frames, K layers, s pixels of a side of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

FINER = 2
"""Samples of a pixel along a side, whose mean it is."""


@dataclass(frozen=True)
class Pose:
    """Where a layer is: its middle, from the top left, and its side, as shares of the frame's; turned clockwise by
    `angle` in radians, after it is `mirrored`."""

    x: float
    y: float
    side: float
    angle: float = 0.0
    mirrored: bool = False


Box = tuple[int, int, int, int]
WAVES, HEIGHT = 2, 3 / 64
"""Waves of a wavy way, and how far up and down they go, as a share of the frame."""
LOOKS = 9
"""Moments at which things must be clear of each other."""
WIDER = 1.25
"""How much more room a thing takes that turns."""


@dataclass(frozen=True)
class Way:
    """Where a thing goes at an even pace: boxes (left, top, right, bottom) where it begins and ends, and a motion: one
    that flies goes on a wave, one that turns goes around once, and of all others the boxes say all."""

    start: Box
    end: Box
    motion: str = "still"

    @property
    def mirrored(self) -> bool:
        """Things look to the left; what goes to the right is mirrored."""
        return self.end[0] + self.end[2] > self.start[0] + self.start[2]

    def box(self, t: float) -> tuple[float, float, float]:
        """Middle and side at a moment from 0 to 1, without the wave."""
        box = [first + (last - first) * t for first, last in zip(self.start, self.end, strict=True)]
        return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0]

    def pose(self, t: float, size: int) -> Pose:
        """Where it is at a moment from 0 to 1, of frames of `size` in the unit of the boxes."""
        x, y, side = self.box(t)
        if self.motion == "fly":
            y -= HEIGHT * size * math.sin(2 * math.pi * WAVES * t)
        angle = 2 * math.pi * t if self.motion == "turn" else 0.0
        return Pose(x / size, y / size, side / size, angle, self.mirrored)

    def room(self, t: float) -> tuple[float, float, float]:
        """As `box`, with the room it needs."""
        x, y, side = self.box(t)
        return x, y, side * (WIDER if self.motion == "turn" else 1)


def moments(frames: int) -> list[float]:
    """When each frame is, from 0 to 1."""
    return [place / max(1, frames - 1) for place in range(frames)]


def clear(ways: Sequence[Way]) -> bool:
    """Whether no two things meet."""
    for t in moments(LOOKS):
        boxes = [way.room(t) for way in ways]
        for place, (x, y, side) in enumerate(boxes):
            if any(max(abs(x - ox), abs(y - oy)) < (side + oside) / 2 for ox, oy, oside in boxes[:place]):
                return False
    return True


def affine(poses: Sequence[Pose]) -> Tensor:
    """From places in the frame to places in the layer, (F, 2, 3), as `affine_grid` takes them."""
    rows = []
    for pose in poses:
        x, y = 2 * pose.x - 1, 2 * pose.y - 1
        cos, sin = math.cos(pose.angle) / pose.side, math.sin(pose.angle) / pose.side
        across, down = (-cos, -sin) if pose.mirrored else (cos, sin), (-sin, cos)
        rows.append([[right, below, -(right * x + below * y)] for right, below in (across, down)])
    return torch.tensor(rows, dtype=torch.float64).float()


def placed(layer: Tensor, poses: Sequence[Pose], size: int) -> Tensor:
    """A layer (C, s, s) as each frame shows it, (F, C, size, size); zero around it.

    Colours are premultiplied, so that an edge takes nothing from what lies clear beside it.
    """
    grid = F.affine_grid(affine(poses), [len(poses), len(layer), FINER * size, FINER * size], align_corners=False)
    # A clear rim, so that no edge ends hard where the layer does.
    rim = F.pad(layer, (1, 1, 1, 1))
    grid = grid * (layer.shape[-1] / rim.shape[-1])
    fine = F.grid_sample(rim.expand(len(poses), *rim.shape), grid, mode="bilinear", align_corners=False)
    return F.avg_pool2d(fine, FINER)


def overlaid(backgrounds: Tensor, layers: Sequence[Tensor], poses: Sequence[Sequence[Pose]]) -> Tensor:
    """Frames (F, C, size, size) of backgrounds (F, C, size, size) under layers (C + 1, s, s), colours and cover.

    Cover is from 0 to 1, and a layer's colours are premultiplied; `poses` has one for each frame of each layer. Later
    layers lie above earlier ones.
    """
    frames = backgrounds
    for layer, where in zip(layers, poses, strict=True):
        shown = placed(layer, where, backgrounds.shape[-1])
        frames = shown[:, :-1] + frames * (1 - shown[:, -1:])
    return frames


def clip(
    first: Tensor, last: Tensor, layers: Sequence[Tensor], ways: Sequence[Way], times: Sequence[float], size: int
) -> Tensor:
    """Frames (F, 3, H, H), one for each moment from 0 to 1: a background (3, H, H) that turns into the last one, and
    layers on their ways through frames of `size` in the unit of the ways."""
    share = torch.tensor(times, dtype=first.dtype, device=first.device)[:, None, None, None]
    poses = [[way.pose(t, size) for t in times] for way in ways]
    return overlaid(first * (1 - share) + last * share, layers, poses).clamp(0, 1)
