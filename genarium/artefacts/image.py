"""A picture that a model made, with its recipe inside the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from genarium.artefacts.drawn import Drawn
from genarium.artefacts.png import Png, encode
from genarium.recipe import Recipe

if TYPE_CHECKING:
    import numpy as np


@dataclass(kw_only=True)
class Image(Drawn, Png):
    """`pixels` is (height, width, 3) uint8.

    Its recipe is its own: one picture with this seed, however many were asked for or drawn to choose from.
    """

    kind: ClassVar[str] = "image"

    pixels: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.shape[1], self.pixels.shape[0]

    def own_recipe(self, recipe: Recipe) -> Recipe:
        alone = recipe.arguments | {"n": 1, "grid_size": None, "best_of": 1, "matcher": None}
        return Recipe.of(recipe.task, alone, recipe.model, self.seed)

    def content(self) -> bytes:
        from PIL import Image as Pillow

        return encode(Pillow.fromarray(self.pixels), self.tags())
