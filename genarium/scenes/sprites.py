"""Sprites of the kinds: fitted to a square, tinted by luminance.

The drawings are those of Debian's colour emoji font, under the SIL Open Font License (sprites.OFL.txt), kept in one
image so that scenes are the same everywhere; scripts/make_sprites.py makes it from the font.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from genarium.scenes.kinds import KINDS

if TYPE_CHECKING:
    from torch import Tensor

ATLAS = Path(__file__).with_name("sprites.png")
CELL = 136
"""Pixels of a side of a drawing's place in the atlas, the widest that the font draws."""

_TINTS = {
    "red": (226, 30, 36),
    "orange": (250, 130, 10),
    "yellow": (252, 214, 20),
    "green": (40, 164, 50),
    "blue": (36, 90, 230),
    "purple": (134, 44, 176),
    "pink": (252, 122, 186),
}


@cache
def _atlas() -> tuple[Image.Image, list[str]]:
    """All drawings, and the names of their kinds, row by row."""
    with Image.open(ATLAS) as atlas:
        return atlas.convert("RGBA"), atlas.info["kinds"].split()


@cache
def glyph(kind: str) -> Image.Image:
    """The kind's drawing in its own colours, RGBA, cropped to what is visible."""
    atlas, kinds = _atlas()
    row, column = divmod(kinds.index(kind), atlas.width // CELL)
    cell = atlas.crop((column * CELL, row * CELL, (column + 1) * CELL, (row + 1) * CELL))
    return cell.crop(cell.getbbox())


def tint(drawn: Image.Image, colour: str) -> Image.Image:
    """The drawing with its light and dark kept and its colours replaced by shades of one."""
    pixels = np.asarray(drawn).astype(np.float32)
    light = pixels[..., :3] @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    seen = light[pixels[..., 3] > 128]
    low, middle, high = np.percentile(seen, [3, 50, 97])
    level = np.clip((light - low) / max(1.0, high - low), 0, 1)
    # The usual pixel takes the colour itself, however light the drawing was.
    centre = float(np.clip((middle - low) / max(1.0, high - low), 0.15, 0.97))
    level = (level ** (np.log(0.5) / np.log(centre)))[..., None]
    if colour == "white":
        shades = 150 + 105 * level**0.5 * np.ones(3)
    elif colour == "black":
        shades = 12 + 70 * level**2 * np.ones(3)
    else:
        pure = np.array(_TINTS[colour], dtype=np.float32)
        # Where most of the drawing is near its lightest, there is little room for highlights above it.
        highlight = 0.35 * min(1.0, (1 - centre) / 0.4)
        dark, bright = pure * 0.42, pure + (255 - pure) * highlight
        shades = np.where(level < 0.5, dark + (pure - dark) * level * 2, pure + (bright - pure) * (level * 2 - 1))
    return Image.fromarray(np.dstack([shades, pixels[..., 3]]).round().astype(np.uint8), "RGBA")


Sprite = tuple[np.ndarray, np.ndarray]


def paste(canvas: np.ndarray, left: int, top: int, drawn: Sprite) -> None:
    """Lay a sprite on (height, width, 3) uint8, in place."""
    light, through = drawn
    under = canvas[top : top + len(light), left : left + len(light)]
    under[:] = light + under * through // 255


@cache
def sprite(kind: str, colour: str | None, size: int, flipped: bool = False) -> Sprite:
    """Premultiplied colour (size, size, 3) and what shines through (size, size, 1), both uint16 of 0 to 255."""
    drawn = glyph(kind)
    if colour is not None and colour != KINDS[kind].natural:
        drawn = tint(drawn, colour)
    scale = size / max(drawn.size)
    width, height = (max(1, round(side * scale)) for side in drawn.size)
    square = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    square.paste(drawn.resize((width, height), Image.Resampling.LANCZOS), ((size - width) // 2, (size - height) // 2))
    if flipped:
        square = square.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = np.asarray(square).astype(np.uint16)
    alpha = pixels[..., 3:]
    return pixels[..., :3] * alpha // 255, 255 - alpha


LAYER = 32
"""Pixels of a side of what is moved, scaled and turned."""


@cache
def layer(kind: str, colour: str | None) -> Tensor:
    """A sprite as `data.layers` places it: premultiplied colours and cover (4, LAYER, LAYER), from 0 to 1."""
    import torch

    light, through = sprite(kind, colour, LAYER)
    pixels = np.concatenate((light, 255 - through), axis=-1).astype(np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
