"""Composes scenes that move: what is asked, what stands where and where it goes, the frames and the caption.

A thing goes from one box to another at an even pace, straight or on a wavy way, or turns around once; a background may
turn into another. Boxes stand on the grid of `World`, so that a plan can say them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from genarium.data.layers import Box, Way, clear, clip
from genarium.scenes.ask import Ask, Wanted
from genarium.scenes.backgrounds import VARIANTS, background
from genarium.scenes.captions import caption
from genarium.scenes.dice import Dice
from genarium.scenes.kinds import KINDS
from genarium.scenes.motions import ACROSS, MOTIONS, TURNS, may
from genarium.scenes.sprites import layer
from genarium.scenes.world import SPLITS, Split, World, is_held_out, spots

_TRIES = 24


@dataclass(frozen=True)
class Mover:
    """One thing and its way, in pixels; its motion is one of `motions.ALL_MOTIONS`."""

    kind: str
    colour: str | None
    way: Way


@dataclass(frozen=True)
class MovingScene:
    """Everything about one clip. `then` is the background in the end, where it is another."""

    background: str
    variant: int
    then: str | None
    things: tuple[Mover, ...]
    ask: Ask
    caption: str


class MovingWorld(World):
    """An endless supply of scenes that move, of `size` × `size` pixels. Scene (seed, index, split) is always the same.

    What is held out asks for a pair, such as of a kind and a motion, that training never shows.
    """

    def __init__(self, size: int = 64, *, snap: int | None = None, kinds: Sequence[str] | None = None):
        super().__init__(size, snap=size // 8 if snap is None else snap, flip=False, kinds=kinds)

    # What is asked

    @staticmethod
    def _dice(seed: int, index: int, split: Split) -> Dice:
        return Dice(seed, SPLITS.index(split), index, 1)  # other throws than those of pictures

    def _asked(self, dice: Dice, split: Split) -> tuple[Ask, str]:
        ask = self.ask(dice, split)
        return ask, caption(ask, dice, moving=True)

    def _propose(self, dice: Dice) -> Ask:
        ask = super()._propose(dice)
        things = tuple(self._moving(wanted, dice) if dice.chance(0.85) else wanted for wanted in ask.things)
        if dice.chance(0.12):
            first, then = dice.pick(tuple(TURNS))
            return Ask(things, first, then)
        return replace(ask, things=things)

    @staticmethod
    def _moving(wanted: Wanted, dice: Dice) -> Wanted:
        """With a motion that it may have, and without what the motion leaves no room for."""
        can = [motion for motion in MOTIONS if may(wanted.kind, wanted.group, motion)]
        if wanted.count is None or wanted.count > 2:
            can = [motion for motion in can if motion not in ("grow", "shrink")]
        motion = dice.pick(can + ["fly"] * 2 * ("fly" in can))
        sized = wanted.size if motion not in ("grow", "shrink") else None
        return replace(wanted, motion=motion, size=sized, place=wanted.place if motion == "turn" else None)

    # What is shown

    def _settled(self, ask: Ask, dice: Dice, split: Split) -> tuple[str, list[tuple[int, Wanted]]]:
        """The background, and of each object what it is and which of the things asked for it belongs to.

        Motions that were left open are chosen too.
        """
        while True:
            where, cast = self._cast(ask, dice, split)
            ways = [wanted.motion or self._usual(wanted, dice) for wanted in ask.things]
            whose = [_whose(wanted, ask) for wanted in cast]
            shown = [replace(wanted, motion=ways[place]) for wanted, place in zip(cast, whose, strict=True)]
            if len(shown) > 2:  # more of the usual size have no room to move in
                shown = [replace(one, size=one.size or ("small" if one.motion else None)) for one in shown]
            if split == "heldout" or not is_held_out(Ask(tuple(shown), where)):
                return where, list(zip(whose, shown, strict=True))

    @staticmethod
    def _usual(wanted: Wanted, dice: Dice) -> str | None:
        """How something moves of which nothing is said: as its kind does, or not."""
        if wanted.place is not None:
            return None
        if may(wanted.kind, wanted.group, "fly"):
            return "fly" if dice.chance(0.5) else None
        driven = wanted.kind is not None and "vehicle" in KINDS[wanted.kind].groups
        return dice.pick(("left", "right")) if driven and dice.chance(0.5) else None

    def _ways(self, where: str, shown: list[tuple[int, Wanted]], dice: Dice) -> list[Mover] | None:
        """Ways that stay in the picture and clear of each other, if any are found; what is asked for together goes
        together."""
        grounded = where in ("sea", "field", "room")
        for attempt in range(_TRIES):
            steps = dict[int, tuple[int, int]]()
            movers = list[Mover]()
            for place, wanted in shown:
                step = steps.setdefault(place, self._step(wanted, dice))
                low = (
                    grounded
                    and attempt < 8
                    and not KINDS[wanted.kind or ""].flies
                    and wanted.motion not in ("up", "down")
                )
                can = self._starts(wanted, step, low and wanted.place in (None, "left", "right"))
                for _ in range(12 if can else 0):
                    mover = self._mover(wanted, dice.pick(can), step)
                    if clear([*(other.way for other in movers), mover.way]):
                        movers.append(mover)
                        break
                else:
                    break
            if len(movers) == len(shown):
                return movers
        return None

    def _starts(self, wanted: Wanted, step: tuple[int, int], low: bool) -> list[Box]:
        """Where something may begin, so that it stays in the picture."""
        pixels = self.pixels["large" if wanted.motion in ("grow", "shrink") else wanted.size or "medium"]
        above = 0 if wanted.motion not in ("fly", "turn") else self.snap
        beside = 0 if wanted.motion != "turn" else self.snap
        most = self.size - pixels
        return [
            (x, y, x + pixels, y + pixels)
            for x, y in spots(self.size, self.snap, pixels, wanted.place, low)
            if beside <= min(x, x + step[0])
            and max(x, x + step[0]) <= most - beside
            and above <= min(y, y + step[1])
            and max(y, y + step[1]) <= most - above
        ]

    def _step(self, wanted: Wanted, dice: Dice) -> tuple[int, int]:
        """How far right and down it goes, in pixels."""
        if wanted.motion not in (*ACROSS, "fly"):
            return 0, 0
        motion = wanted.motion if wanted.motion in ACROSS else dice.pick(("left", "right"))
        right, down = ACROSS[motion]
        room = self.size - self.pixels[wanted.size or "medium"]
        far = min(room, (3 + dice.below(3)) * self.snap)
        aside = dice.pick((0, 0, 0, -self.snap, self.snap))
        return right * far + abs(down) * aside, down * far + abs(right) * aside

    def _mover(self, wanted: Wanted, box: Box, step: tuple[int, int]) -> Mover:
        start = box
        if wanted.motion in ("grow", "shrink"):
            around = (self.pixels["large"] - self.pixels["small"]) // 2
            left, top, right, bottom = box
            small = (left + around, top + around, right - around, bottom - around)
            start, end = (small, box) if wanted.motion == "grow" else (box, small)
        else:
            right, down = step
            end = (box[0] + right, box[1] + down, box[2] + right, box[3] + down)
        return Mover(wanted.kind or "", wanted.colour, Way(start, end, wanted.motion or "still"))

    def moving(self, seed: int, index: int, split: Split = "train") -> MovingScene:
        """Scene `index` of a seed. In `heldout` every caption asks for a pair training never sees."""
        dice = self._dice(seed, index, split)
        while True:
            ask, text = self._asked(dice, split)
            where, shown = self._settled(ask, dice, split)
            if things := self._ways(where, shown, dice):
                return MovingScene(where, dice.below(VARIANTS), ask.then, tuple(things), ask, text)

    def frames(self, scene: MovingScene, times: Sequence[float]) -> np.ndarray:
        """(frames, size, size, 3) uint8, one for each moment from 0 to 1."""
        names = (scene.background, scene.then or scene.background)
        under = [background(name, scene.variant, self.size) for name in names]
        first, last = (torch.from_numpy(one.astype(np.float32) / 255).permute(2, 0, 1) for one in under)
        layers = [layer(thing.kind, thing.colour) for thing in scene.things]
        shown = clip(first, last, layers, [thing.way for thing in scene.things], times, self.size)
        return (shown * 255).round().byte().permute(0, 2, 3, 1).numpy()


def _whose(wanted: Wanted, ask: Ask) -> int:
    """Which of the things asked for one belongs to."""
    kinds = [place for place, one in enumerate(ask.things) if one.kind == wanted.kind]
    groups = [place for place, one in enumerate(ask.things) if one.group in KINDS[wanted.kind or ""].groups]
    return (kinds or groups)[0]
