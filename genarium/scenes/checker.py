"""Judges whether a picture shows what was asked, by a detector trained on composed scenes and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn import functional as F

from genarium.data.images import to_tensor
from genarium.errors import BadCheckpoint
from genarium.scenes.ask import Ask, Wanted
from genarium.scenes.detector import PIXELS, SHADES, SIDE, STRIDE, Detector
from genarium.scenes.kinds import BACKGROUNDS, KINDS, SIZES

WEIGHTS = Path(__file__).with_name("checker.safetensors")
SURE = 0.35
"""How sure the detector must be that something is there."""


@dataclass(frozen=True)
class Seen:
    """One thing seen: `x` and `y` are its middle as shares of the picture, from the top left.

    `moved` is how it moves in a clip: one way of `motions.ACROSS`, grow or shrink, and turn, as many as it does.
    """

    kind: str
    shade: str
    size: str
    x: float
    y: float
    sure: float
    moved: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sight:
    """What is seen of a picture or a clip, which ends with the background `then` if that is another."""

    background: str
    things: tuple[Seen, ...]
    then: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What is wrong, of kind, count, colour, size, place, motion, background and extra (something not asked for)."""

    wrong: tuple[str, ...]

    @property
    def right(self) -> bool:
        return not self.wrong


class Checker:
    """The trained detector with its rules. Raises BadCheckpoint where its weights can't be read."""

    def __init__(self, weights: Path = WEIGHTS):
        self.model = Detector()
        try:
            self.model.load_state_dict({name: tensor.float() for name, tensor in load_file(weights).items()})
        except Exception as error:
            raise BadCheckpoint(f"the checker's weights {weights} can't be read ({error}); train them anew") from None
        self.model.eval()

    @torch.inference_mode()
    def look(self, images: np.ndarray, batch_size: int = 50) -> list[Sight]:
        """What stands where in each of (n, height, width, 3) uint8; other sizes than 64 are brought to it."""
        sights: list[Sight] = []
        for first in range(0, len(images), batch_size):
            batch = images[first : first + batch_size]
            if batch.shape[1:3] != (SIDE, SIDE):
                small = [Image.fromarray(p).resize((SIDE, SIDE), Image.Resampling.BOX) for p in batch]
                batch = np.stack([np.asarray(p) for p in small])
            heat, *parts, where = self.model(to_tensor(batch))
            heat = heat[:, 0].sigmoid()
            peaks = (heat == F.max_pool2d(heat[:, None], 3, 1, 1)[:, 0]) & (heat > SURE)
            names = [part.argmax(1) for part in parts]
            for number in range(len(batch)):
                found = []
                for row, column in peaks[number].nonzero().tolist():
                    kind, shade, size = (int(name[number, row, column]) for name in names)
                    x_middle, y_middle = ((place + 0.5) * STRIDE / SIDE for place in (column, row))
                    sure = float(heat[number, row, column])
                    found.append(Seen(tuple(KINDS)[kind], SHADES[shade], SIZES[size], x_middle, y_middle, sure))
                sights.append(Sight(BACKGROUNDS[int(where[number].argmax())], _once(found)))
        return sights

    def check(self, images: np.ndarray, asks: Sequence[Ask]) -> list[Verdict]:
        """One verdict for each picture and what was asked of it."""
        return [judge(ask, sight) for ask, sight in zip(asks, self.look(images), strict=True)]


def _once(found: list[Seen]) -> tuple[Seen, ...]:
    """Each thing once: of two middles nearer than 0.6 of their mean side the surer stays."""
    kept: list[Seen] = []
    for seen in sorted(found, key=lambda seen: -seen.sure):
        if all(_apart(seen, other) for other in kept):
            kept.append(seen)
    return tuple(kept)


def _apart(one: Seen, other: Seen) -> bool:
    near = 0.6 * (PIXELS[one.size] + PIXELS[other.size]) / 2 / SIDE
    return max(abs(one.x - other.x), abs(one.y - other.y)) > near


def stands(place: str, x: float, y: float) -> bool:
    """Whether a middle is where a place word says."""
    return {
        "left": x < 0.46,
        "right": x > 0.54,
        "top": y < 0.46,
        "bottom": y > 0.54,
        "middle": max(abs(x - 0.5), abs(y - 0.5)) < 0.13,
    }[place]


def _faults(wanted: Wanted, seen: Seen) -> set[str]:
    wrong = set()
    if wanted.colour is not None and seen.shade != wanted.colour:
        wrong.add("colour")
    if wanted.size is not None and seen.size != wanted.size:
        wrong.add("size")
    if wanted.place is not None and not stands(wanted.place, seen.x, seen.y):
        wrong.add("place")
    if wanted.motion is not None and not _moves(wanted.motion, seen.moved):
        wrong.add("motion")
    return wrong


def _moves(motion: str, moved: frozenset[str]) -> bool:
    """Whether what is seen moves as asked, and not otherwise."""
    return moved == {motion} or (motion == "fly" and moved in ({"left"}, {"right"}))


def judge(ask: Ask, sight: Sight) -> Verdict:
    """All that was asked and nothing else must be there; what was left open may be anything."""
    wrong: set[str] = set()
    then = sight.then or sight.background
    if ask.background is not None and (sight.background, then) != (ask.background, ask.then or ask.background):
        wrong.add("background")
    left = list(sight.things)
    # Kinds before groups, which take what remains.
    for name, is_kind in sorted(
        {(w.kind or w.group or "", w.kind is not None) for w in ask.things}, key=lambda n: not n[1]
    ):
        wanted = [w for w in ask.things if (w.kind if is_kind else w.group) == name]
        matching = [seen for seen in left if (seen.kind == name if is_kind else name in KINDS[seen.kind].groups)]
        left = [seen for seen in left if seen not in matching]
        counts = [w.count for w in wanted]
        fits = len(matching) >= 2 if None in counts else len(matching) == sum(count or 0 for count in counts)
        if not matching:
            wrong.add("kind")
        elif not fits:
            wrong.add("count")
        else:
            slots = [w for w in wanted for _ in range(w.count or len(matching))][: len(matching)]
            orders = permutations(matching) if len(wanted) > 1 and len(matching) <= 6 else [tuple(matching)]
            tries = [set[str]().union(*map(_faults, slots, order)) for order in orders]
            wrong |= min(tries, key=len)
    if left:
        wrong.add("extra")
    return Verdict(tuple(sorted(wrong)))
