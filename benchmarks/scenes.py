"""How often the checker of scenes is right: yes to true held-out scenes, no where one attribute is wrong; and speed."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from genarium.data.scenes import Ask, Wanted, World
from genarium.data.scenes.checker import Checker
from genarium.data.scenes.degrade import mild
from genarium.data.scenes.dice import Dice
from genarium.data.scenes.kinds import BACKGROUNDS, KINDS, PLACES, of_group


def other(dice: Dice, items: tuple[str, ...], *not_these: str | None) -> str:
    return dice.pick([item for item in items if item not in not_these])


def another_kind(ask: Ask, dice: Dice) -> Ask | None:
    first = ask.things[0]
    kinds = [wanted.kind for wanted in ask.things]
    if first.group is not None:
        outside = other(dice, tuple(KINDS), *of_group(first.group))
        return replace(ask, things=(Wanted(outside, count=first.count),))
    kind = other(dice, tuple(k for k in KINDS if not first.colour or first.colour in KINDS[k].colours), *kinds)
    return replace(ask, things=(replace(first, kind=kind), *ask.things[1:]))


def another_count(ask: Ask, dice: Dice) -> Ask | None:
    first = ask.things[0]
    if len(ask.things) > 1 or first.count is None or first.place or (first.size == "large" and first.count > 1):
        return None
    most = 3 if first.group else 4
    count = 2 if first.count == 1 else first.count - 1 if first.count == most or dice.chance(0.5) else first.count + 1
    return replace(ask, things=(replace(first, count=count),))


def another_colour(ask: Ask, dice: Dice) -> Ask | None:
    for place, wanted in enumerate(ask.things):
        if wanted.colour and wanted.kind:
            colour = other(
                dice, KINDS[wanted.kind].colours, wanted.colour, "black" if ask.background == "night" else None
            )
            return replace(ask, things=(*ask.things[:place], replace(wanted, colour=colour), *ask.things[place + 1 :]))
    return None


def another_size(ask: Ask, dice: Dice) -> Ask | None:
    first = ask.things[0]
    if not first.size or (first.count or 4) > 2:
        return None
    return replace(ask, things=(replace(first, size=other(dice, ("small", "large"), first.size)), *ask.things[1:]))


def another_place(ask: Ask, dice: Dice) -> Ask | None:
    places = [wanted.place for wanted in ask.things]
    if None in places:
        return None
    new = places[::-1] if len(places) == 2 else [_elsewhere(dice, places[0])]
    return replace(ask, things=tuple(replace(w, place=p) for w, p in zip(ask.things, new, strict=True)))


def _elsewhere(dice: Dice, place: str | None) -> str:
    """A place that can't hold at the same time: the top may be left as well."""
    opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
    return dice.pick([opposite[place], "middle"]) if place in opposite else dice.pick(PLACES[:4])


def another_background(ask: Ask, dice: Dice) -> Ask | None:
    return replace(ask, background=other(dice, BACKGROUNDS, ask.background)) if ask.background else None


CHANGES: dict[str, Callable[[Ask, Dice], Ask | None]] = {
    "kind": another_kind,
    "count": another_count,
    "colour": another_colour,
    "size": another_size,
    "place": another_place,
    "background": another_background,
}


def measure(checker: Checker, n: int, seed: int = 77) -> dict[str, tuple[int, int]]:
    """Verdicts that are as they should be and all verdicts: of true scenes, and with each attribute wrong."""
    world, figures = World(64), {}
    for name, change in ({"true": lambda ask, dice: ask} | CHANGES).items():
        asks, pictures, index = [], [], 0
        while len(asks) < n:
            index += 1
            scene, dice = world.scene(seed, index, "heldout"), Dice(seed, 9, index)
            shown = change(scene.ask, dice)
            if shown is not None:
                asks.append(scene.ask)
                pictures.append(world.picture(world.compose(shown, "", dice, "heldout")))
        verdicts = checker.check(mild(np.stack(pictures), seed), asks)
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
