"""Heat maps drawn over pictures. Each map has its own scale: its lowest place is dark, its highest bright."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image as Pillow

Size = tuple[int, int]
Box = tuple[float, float, float, float]
Layer = tuple["np.ndarray", "np.ndarray", Box]
"""A picture (height, width, 3) uint8, maps (words, h, w), and the part of the picture that they cover."""

SMALLEST, LARGEST = 256, 1024
"""Pixels of the longer side of a picture as it is drawn alone."""
FEW, PANEL = 16, 512
"""Up to so many panels are that large in a figure; those of more are SMALLEST."""
SLIMMEST = 8
"""A picture more than so many times as long as wide is drawn wider, so that there is something to see."""
DIM, STRONGEST = 0.6, 0.7
"""What is left of the picture where a map is lowest, and the share of colour where it is highest."""


def spread(one: np.ndarray, size: Size, box: Box) -> np.ndarray:
    """A map (h, w) between 0 and 1 over a picture of `size`, (height, width); 0 outside of its box.

    All 0 where the map is the same everywhere.
    """
    import numpy as np
    from PIL import Image

    width, height = size
    heat = np.zeros((height, width), dtype=np.float32)
    low, high = float(one.min()), float(one.max())
    if not high > low:
        return heat
    left, top, right, bottom = (round(share * side) for share, side in zip(box, (width, height) * 2, strict=True))
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    scaled = Image.fromarray(((one - low) / (high - low)).astype(np.float32)).resize(
        (right - left, bottom - top), Image.Resampling.BICUBIC
    )
    part = heat[top:bottom, left:right]
    part[:] = np.asarray(scaled).clip(0, 1)[: part.shape[0], : part.shape[1]]
    return heat


def peak(one: np.ndarray, size: Size, box: Box) -> tuple[int, int] | None:
    """Where the map is highest, (x, y) in pixels of a picture of `size`; None for one that is all alike."""
    import numpy as np

    shown = _drawn_size(size)
    heat = spread(one, shown, box)
    if not heat.any():
        return None
    y, x = np.unravel_index(int(heat.argmax()), heat.shape)
    return int((x + 0.5) * size[0] / shown[0]), int((y + 0.5) * size[1] / shown[1])


def shaded(one: np.ndarray, size: Size, box: Box) -> np.ndarray:
    """What is laid on a picture of `size` to show a map: (height, width, 4) of 0 to 1, straight alpha."""
    import numpy as np

    heat = spread(one, size, box)
    colour = _colours()[(heat * 255).round().astype(np.uint8)]
    strength = STRONGEST * heat[..., None]
    # The picture is darkened to DIM, then covered by `strength` of the colour: both as one layer.
    alpha = 1 - DIM * (1 - strength)
    return np.concatenate([colour * strength / alpha, alpha], axis=-1)


def covered(image: np.ndarray, one: np.ndarray, box: Box) -> np.ndarray:
    """The picture, as it is drawn, under its map: (height, width, 3) uint8."""
    import numpy as np

    layer = shaded(one, (image.shape[1], image.shape[0]), box)
    alpha = layer[..., 3:]
    shown: np.ndarray = (image * (1 - alpha) + layer[..., :3] * alpha * 255).round().astype(np.uint8)
    return shown


def drawn(pixels: np.ndarray, largest: int = LARGEST) -> np.ndarray:
    """The picture at the size that it is drawn in."""
    import numpy as np
    from PIL import Image

    size = pixels.shape[1], pixels.shape[0]
    wanted = _drawn_size(size, largest)
    return pixels if wanted == size else np.asarray(Image.fromarray(pixels).resize(wanted, Image.Resampling.LANCZOS))


def figure(layers: Sequence[Layer], words: Sequence[str], *, labels: Sequence[str], title: str) -> Pillow.Image:
    """A panel a word after each picture; several pictures stand in a row each."""
    from genarium.artefacts.sheet import contact_sheet, usual_grid

    panels, captions = [], []
    largest = PANEL if len(layers) * (len(words) + 1) <= FEW else SMALLEST
    for (pixels, maps, box), label in zip(layers, labels, strict=True):
        image = drawn(pixels, largest)
        panels += [image, *(covered(image, one, box) for one in maps)]
        captions += [label, *words]
    grid = usual_grid(len(panels)) if len(layers) == 1 else (len(words) + 1, len(layers))
    return contact_sheet(panels, title=title, captions=captions, grid=grid)


def overlays(layers: Sequence[Layer]) -> Pillow.Image:
    """Each picture under the mean of its words' maps, side by side without paper around."""
    import numpy as np
    from PIL import Image

    shown = [covered(drawn(pixels), together(maps), box) for pixels, maps, box in layers]
    return Image.fromarray(np.concatenate(shown, axis=1))


def together(maps: np.ndarray) -> np.ndarray:
    """The mean of all words' maps, each on its own scale."""
    import numpy as np

    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    mean: np.ndarray = ((maps - low) / np.maximum(high - low, 1e-12)).mean(0)
    return mean


def _drawn_size(size: Size, largest: int = LARGEST) -> Size:
    longer = max(size)
    scale = math.ceil(SMALLEST / longer) if longer < SMALLEST else min(1.0, largest / longer)
    least = math.ceil(longer * scale / SLIMMEST)
    width, height = (max(least, round(side * scale)) for side in size)
    return width, height


@cache
def _colours() -> np.ndarray:
    """Dark to bright, (256, 3) of 0 to 1: matplotlib's inferno, whose lightness rises evenly."""
    import matplotlib as mpl
    import numpy as np

    colours: np.ndarray = mpl.colormaps["inferno"](np.arange(256))[:, :3]
    return colours
