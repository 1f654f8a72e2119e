"""Draw scenes with their captions on one sheet, or with `--kinds` every sprite, to look at."""

from __future__ import annotations

import argparse
import textwrap

import numpy as np
from PIL import Image, ImageDraw

from genarium.errors import GenariumError
from genarium.scenes.backgrounds import background
from genarium.scenes.kinds import BACKGROUNDS, KINDS
from genarium.scenes.sprites import paste, sprite
from genarium.scenes.world import World


def _enlarged(pixels: np.ndarray, times: int) -> Image.Image:
    return Image.fromarray(pixels).resize((pixels.shape[1] * times, pixels.shape[0] * times), Image.Resampling.NEAREST)


def scenes_sheet(world: World, n: int, seed: int, split: str, zoom: int, columns: int = 6) -> Image.Image:
    side = world.size * zoom
    sheet = Image.new("RGB", (columns * (side + 8), -(-n // columns) * (side + 44)), "white")
    draw = ImageDraw.Draw(sheet)
    for index in range(n):
        scene = world.scene(seed, index, "heldout" if split == "heldout" else "train")
        x, y = index % columns * (side + 8), index // columns * (side + 44)
        sheet.paste(_enlarged(world.image(scene), zoom), (x, y))
        draw.text((x, y + side + 2), textwrap.fill(scene.caption, side // 6), fill="black")
    return sheet


def kinds_sheet(world: World, zoom: int, columns: int = 8) -> Image.Image:
    """Every kind at its three sizes, then in the colours it takes."""
    cells = [(kind, colour) for kind in world.kinds for colour in (None, *KINDS[kind].colours)]
    sizes = list(world.pixels.values())
    width, height = sum(sizes) * zoom + 8, sizes[-1] * zoom + 16
    sheet = Image.new("RGB", (columns * width, -(-len(cells) // columns) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (kind, colour) in enumerate(cells):
        x, y = index % columns * width, index // columns * height
        draw.text((x, y), f"{colour or ''} {kind}", fill="black")
        for size in sizes:
            cell = background(BACKGROUNDS[index % len(BACKGROUNDS)], 0, world.size)[:size, :size].copy()
            paste(cell, 0, 0, sprite(kind, colour, size))
            sheet.paste(_enlarged(cell, zoom), (x, y + 14))
            x += size * zoom
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m genarium.scenes", description=__doc__)
    parser.add_argument("sheet", help="the PNG to write")
    parser.add_argument("-n", type=int, default=36, help="how many scenes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=64, help="pixels of a side")
    parser.add_argument("--snap", type=int, help="pixels of the grid objects stand on; size / 16 by default")
    parser.add_argument("--split", choices=("train", "heldout"), default="train")
    parser.add_argument("--zoom", type=int, default=4)
    parser.add_argument("--kinds", action="store_true", help="every kind in every size and colour instead of scenes")
    given = parser.parse_args()
    try:
        world = World(given.size, snap=given.snap)
        if given.kinds:
            kinds_sheet(world, given.zoom).save(given.sheet)
        else:
            scenes_sheet(world, given.n, given.seed, given.split, given.zoom).save(given.sheet)
    except GenariumError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
