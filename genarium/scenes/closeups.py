"""Close-ups: a window of a scene around the one thing in it, for learning what things look like.

In a whole scene nine tenths of the places are background; here a thing fills most of them, at a quarter of the cost.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genarium.scenes.ask import Ask
from genarium.scenes.captions import caption
from genarium.scenes.dice import Dice
from genarium.scenes.world import SPLITS, World

STREAM = len(SPLITS)
"""Of the dice: close-ups are of other scenes than the splits'."""


def closeups(world: World, seed: int, first: int, n: int) -> tuple[np.ndarray, list[str]]:
    """Close-ups `first` to `first + n` - 1 of a seed, (n, size / 2, size / 2, 3) uint8, and their captions.

    They ask for pairs that training may see, and for no place.
    """
    side = world.size // 2
    images = np.empty((n, side, side, 3), dtype=np.uint8)
    captions = []
    for row in range(n):
        dice = Dice(seed, STREAM, first + row)
        ask = _of_one_thing(world, dice)
        captions.append(caption(ask, dice))
        scene = world.compose(ask, captions[-1], dice)
        left, top, right, bottom = scene.things[0].box
        x, y = (
            dice.pick(range(max(0, end - side), min(begin, world.size - side) + 1, world.snap))
            for begin, end in ((left, right), (top, bottom))
        )
        images[row] = world.image(scene)[y : y + side, x : x + side]
    return images, captions


def _of_one_thing(world: World, dice: Dice) -> Ask:
    while True:
        ask = world.ask(dice, "train")
        (wanted, *others) = ask.things
        if not others and wanted.kind is not None and wanted.count == 1:
            return replace(ask, things=(replace(wanted, place=None),))
