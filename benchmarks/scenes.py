"""How often the checker of scenes is right: yes to true held-out scenes, no where one attribute is wrong; and speed."""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np

from genarium.scenes import World
from genarium.scenes.changes import CHANGES
from genarium.scenes.checker import Checker
from genarium.scenes.degrade import mild
from genarium.scenes.dice import Dice


def measure(checker: Checker, n: int, seed: int = 77) -> dict[str, tuple[int, int]]:
    """Verdicts that are as they should be and all verdicts: of true scenes, and with each attribute wrong."""
    world, figures = World(64), {}
    for name, change in ({"true": lambda ask, dice: ask} | CHANGES).items():
        asks, images, index = [], [], 0
        while len(asks) < n:
            index += 1
            scene, dice = world.scene(seed, index, "heldout"), Dice(seed, 9, index)
            crowded = name == "count" and len(scene.ask.things) > 1  # one more may have no room
            shown = None if crowded else change(scene.ask, dice)
            if shown is not None:
                asks.append(scene.ask)
                images.append(world.image(world.compose(shown, "", dice, "heldout")))
        verdicts = checker.check(mild(np.stack(images), seed), asks)
        figures[name] = (sum(verdict.right == (name == "true") for verdict in verdicts), n)
        if name == "true":
            print("why true scenes were refused:", dict(Counter(w for verdict in verdicts for w in verdict.wrong)))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=500, help="pictures for each line")
    given = parser.parse_args()
    for name, (right, count) in measure(Checker(), given.n).items():
        said = "true scenes, yes" if name == "true" else f"wrong {name}, no"
        print(f"{said:24} {right / count:7.1%} of {count}")
    world = World(64, snap=8)
    world.arrays(0, 0, 6000)
    began = time.process_time()
    world.arrays(1, 0, 3000)
    print(f"{3000 / (time.process_time() - began):,.0f} scenes a second of one core, 64 pixels, sprites kept")


if __name__ == "__main__":
    main()
