"""Judges whether a clip shows what was asked: the detector's eyes on every frame, and sprites matched along the way.

Its detector is the checker's, trained further on things of any side at any angle (`scripts/train_scene_checker.py
--turned`), apart from every generator. What it sees is linked from frame to frame; how a thing is turned is found by
laying its own sprite over it at every angle.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genarium.data.layers import Pose, placed
from genarium.scenes.ask import Ask
from genarium.scenes.checker import Checker, Seen, Sight, Verdict, judge
from genarium.scenes.detector import PIXELS, SIDE
from genarium.scenes.kinds import KINDS
from genarium.scenes.motions import seen_to_move
from genarium.scenes.sprites import layer

WEIGHTS = Path(__file__).with_name("follower.safetensors")
NEAR, FRAMES = 0.125, 16
"""How far a thing may go from one frame to the next of so many, as a share of the picture's width."""
GONE = 2
"""Frames in which it may go unseen."""
STEADY = 0.7
"""The share of the frames in which a thing must be seen, to be one that is there."""
PASSING = 0.25
"""The share of the frames below which what is seen is a mistake of the eye."""
CHOICES, DOUBT, LOOKS = 3, 0.15, 6
"""As many kinds and shades are laid over a thing as were seen more than in passing, in so many of its frames."""
ANGLES = 24
TURN_COST = 0.0005
"""What a step of the angle costs, beside the error of the match: where all angles match alike, none is turned to."""


@dataclass
class Track:
    """One thing along the frames: which frames, and what was seen in each."""

    frames: list[int] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def likely(self, of: str) -> list[str]:
        """The kinds or shades that are seen most surely along the way, the surest first."""
        sure: Counter[str] = Counter()
        for seen in self.seen:
            sure[getattr(seen, of)] += seen.sure  # type: ignore[assignment]
        ordered = sure.most_common(CHOICES)
        return [name for name, share in ordered if share >= DOUBT * ordered[0][1]]

    def size(self) -> str:
        return Counter(seen.size for seen in self.seen[: max(3, len(self.seen) // 3)]).most_common(1)[0][0]

    def sides(self) -> np.ndarray:
        """A side for each frame seen, in pixels, evened out."""
        pixels = np.array([PIXELS[seen.size] for seen in self.seen], dtype=float)
        wide = np.pad(pixels, 2, mode="edge")
        return np.stack([wide[place : place + len(pixels)] for place in range(5)]).mean(axis=0)


class Follower(Checker):
    """The checker of clips. Raises BadCheckpoint where its weights can't be read."""

    def __init__(self, weights: Path = WEIGHTS):
        super().__init__(weights)

    def follow(self, frames: np.ndarray) -> Sight:
        """What stands where and goes where in a clip, (F, height, width, 3) uint8."""
        sights = self.look(frames)
        tracks = [track for track in link(sights) if len(track.frames) >= PASSING * len(frames)]
        things = []
        for track in tracks:
            steady = len(track.frames) >= STEADY * len(frames)
            things.append(self._thing(track, frames) if steady else _flickering(track))
        first, last = (_background(sights[rows]) for rows in (slice(0, 2), slice(-2, None)))
        return Sight(first, tuple(things), last)

    def judge_clips(self, clips: Sequence[np.ndarray], asks: Sequence[Ask]) -> list[Verdict]:
        """One verdict for each clip and what was asked of it."""
        return [judge(ask, self.follow(clip)) for clip, ask in zip(clips, asks, strict=True)]

    def _thing(self, track: Track, frames: np.ndarray) -> Seen:
        start, end = track.seen[:2], track.seen[-2:]
        (x, y), (last_x, last_y) = (
            (sum(s.x for s in part) / len(part), sum(s.y for s in part) / len(part)) for part in (start, end)
        )
        sides = track.sides()
        kind, shade = recognised(track, frames)
        turned = turned_by(track, frames, kind, shade)
        moved = seen_to_move(last_x - x, last_y - y, sides[-2:].mean() / sides[:2].mean(), turned)
        sure = sum(seen.sure for seen in track.seen) / len(track.seen)
        return Seen(kind, shade, track.size(), x, y, sure, moved)


def link(sights: Sequence[Sight]) -> list[Track]:
    """What is seen in frames, as tracks: of each frame the nearest to where a track was goes on with it."""
    near = NEAR * max(1.0, FRAMES / len(sights))
    tracks: list[Track] = []
    for number, sight in enumerate(sights):
        going = [track for track in tracks if number - track.frames[-1] <= 1 + GONE]
        pairs = sorted(
            (math.hypot(seen.x - track.seen[-1].x, seen.y - track.seen[-1].y), t, s)
            for t, track in enumerate(going)
            for s, seen in enumerate(sight.things)
        )
        taken_tracks, taken = set[int](), set[int]()
        for away, t, s in pairs:
            if away <= near * (number - going[t].frames[-1]) and t not in taken_tracks and s not in taken:
                taken_tracks.add(t)
                taken.add(s)
                going[t].frames.append(number)
                going[t].seen.append(sight.things[s])
        tracks += [Track([number], [seen]) for s, seen in enumerate(sight.things) if s not in taken]
    return tracks


def recognised(track: Track, frames: np.ndarray) -> tuple[str, str]:
    """Kind and shade: of those that the eye wavers between, the one whose sprite matches best."""
    choices = [
        (kind, shade)
        for kind in track.likely("kind")
        for shade in track.likely("shade")
        if shade in (*KINDS[kind].colours, KINDS[kind].natural or "natural")
    ]
    if len(choices) < 2:
        return choices[0] if choices else (track.likely("kind")[0], track.likely("shade")[0])
    looked = list(zip(track.frames, track.seen, track.sides(), strict=True))[:: max(1, len(track.frames) // LOOKS)]

    def error(choice: tuple[str, str]) -> float:
        kind, shade = choice
        return sum(float(mismatch(kind, shade, frames[n], seen, side).min()) for n, seen, side in looked)

    return min(choices, key=error)


def turned_by(track: Track, frames: np.ndarray, kind: str, shade: str) -> float:
    """How far a thing turns along its frames, in radians, clockwise: the way through the angles of its sprite that
    matches best (Viterbi 1967)."""
    errors = np.stack(
        [
            mismatch(kind, shade, frames[number], seen, side)
            for number, seen, side in zip(track.frames, track.seen, track.sides(), strict=True)
        ]
    )
    errors = errors[:, int(errors[:2].min(axis=2).sum(axis=0).argmin())]  # mirrored or not, as it begins
    steps = np.arange(-4, 5)
    cost, back = errors[0].copy(), []
    for row in errors[1:]:
        ways = np.stack([np.roll(cost, step) + TURN_COST * abs(step) for step in steps])
        back.append(steps[ways.argmin(axis=0)])
        cost = ways.min(axis=0) + row
    place, total = int(cost.argmin()), 0
    for came in reversed(back):
        total += int(came[place])
        place = (place - int(came[place])) % ANGLES
    return total * 2 * math.pi / ANGLES


def mismatch(kind: str, shade: str, frame: np.ndarray, seen: Seen, side: float) -> np.ndarray:
    """The squared error of the sprite over one frame, (mirrored, angle): the least of places near where it was seen."""
    templates = _templates(kind, shade, round(side))
    n = templates.shape[-1]
    pixels = torch.from_numpy(frame.astype(np.float32) / 255).permute(2, 0, 1)
    wide = torch.nn.functional.pad(pixels[None], (n, n, n, n), mode="replicate")[0]
    best = torch.full((2 * ANGLES,), math.inf)
    cover = templates[:, 3:]
    weight = (cover > 0.5).float()
    colours = templates[:, :3] / cover.clamp(min=0.05)
    for down in (-3, 0, 3):
        for right in (-3, 0, 3):
            left, top = (round(middle * SIDE + by - n / 2) + n for middle, by in ((seen.x, right), (seen.y, down)))
            there = wide[:, max(0, top) : top + n, max(0, left) : left + n]
            if there.shape[1:] == (n, n):
                error = ((there - colours).square() * weight).sum((1, 2, 3)) / (3 * weight.sum((1, 2, 3)))
                best = torch.minimum(best, error)
    return best.view(2, ANGLES).numpy()


@cache
def _templates(kind: str, shade: str, side: int) -> Tensor:
    """A sprite at every angle, upright and mirrored: (2 · ANGLES, 4, n, n)."""
    colour = shade if shade in KINDS[kind].colours else None
    n = math.ceil(side * 1.4)
    poses = [
        Pose(0.5, 0.5, side / n, 2 * math.pi * angle / ANGLES, mirrored)
        for mirrored in (False, True)
        for angle in range(ANGLES)
    ]
    return placed(layer(kind, colour), poses, n)


def _flickering(track: Track) -> Seen:
    """What comes and goes: it is there, and neither of a size nor moving as anything asked for."""
    seen = track.seen[0]
    kind, shade = (track.likely(of)[0] for of in ("kind", "shade"))
    return Seen(kind, shade, "", seen.x, seen.y, seen.sure, frozenset({"flicker"}))


def _background(sights: Sequence[Sight]) -> str:
    return Counter(sight.background for sight in sights).most_common(1)[0][0]
