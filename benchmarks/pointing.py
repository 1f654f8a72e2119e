"""The pointing game (Zhang et al. 2018, arXiv:1608.00507) on held-out scenes: how often the highest place of a word's
heat map lies in what the word names, beside how often the middle of the picture does.

    python benchmarks/pointing.py starter/match -n 500
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

import numpy as np
from PIL import Image

from genarium.artefacts.heat_drawing import peak
from genarium.engines import registry
from genarium.scenes import World
from genarium.scenes.regions import covered, named


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a matcher: a BLIP matcher, a CLIP")
    parser.add_argument("-n", type=int, default=500, help="how many scenes")
    parser.add_argument("--layer", type=int, help="by default the model's usual one")
    parser.add_argument(
        "--split", choices=("train", "heldout"), default="heldout", help="train is for choosing a layer"
    )
    parser.add_argument("--seed", type=int, default=77, help="of the scenes")
    parser.add_argument("--size", type=int, default=64, help="pixels of a scene's side")
    parser.add_argument("--snap", type=int, default=8, help="pixels of the grid that things stand on")
    asked = parser.parse_args()
    world, matcher = World(asked.size, snap=asked.snap), registry.open_matcher(asked.model)
    middle = (asked.size // 2, asked.size // 2)
    rows: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    began = time.perf_counter()
    for index in range(asked.n):
        scene = world.scene(asked.seed, index, asked.split)
        found = matcher.explain(Image.fromarray(world.image(scene)), scene.caption, asked.layer)
        maps = dict(zip(found.spans, found.maps, strict=True))
        for one in named(scene):
            if (one.start, one.end) not in maps:
                continue  # cut, or part of a longer word
            at = peak(maps[one.start, one.end], (asked.size, asked.size), found.box)
            boxes, exactly = covered(one.things, asked.size), covered(one.things, asked.size, exactly=True)
            row = (_inside(boxes, at), _inside(exactly, at), _inside(boxes, middle), float(boxes.mean()))
            rows["colours" if one.colour else "objects"].append(row)
    seconds = time.perf_counter() - began
    print(f"{asked.model}: {matcher.method(asked.layer)}; {asked.n} {asked.split} scenes, seed {asked.seed}")
    print(f"{'':<10}{'words':>7}{'in the box':>12}{'on the sprite':>15}{'middle in box':>15}{'boxes cover':>13}")
    for kind in ("objects", "colours"):
        boxes, exactly, centre, share = (np.mean(column) for column in zip(*rows[kind], strict=True))
        print(f"{kind:<10}{len(rows[kind]):>7}{boxes:>12.1%}{exactly:>15.1%}{centre:>15.1%}{share:>13.1%}")
    print(f"{1000 * seconds / asked.n:.0f} ms a scene")


def _inside(region: np.ndarray, at: tuple[int, int] | None) -> bool:
    return at is not None and bool(region[at[1], at[0]])


if __name__ == "__main__":
    main()
