"""Where training takes moving scenes from: what stands where and goes where, and the layers that they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from genarium.scenes.backgrounds import background
from genarium.scenes.moving import MovingScene, MovingWorld
from genarium.scenes.sprites import LAYER, layer
from genarium.scenes.world import Split
from genarium.scenes.worlds import MOVING
from genarium.training.sources.images import SNAP_CELLS, Images

SHOWN = (
    "flying batman with colorful sky",
    "a flying bird",
    "a red car driving to the left and a balloon rising",
    "a cat turning around in a room",
    "two bees flying as night falls",
    "a purple ship sailing to the right at sea",
)


class MovingScenes:
    """Scenes that move, endless. What is held out asks for pairs that training never shows."""

    world_name: str | None = MOVING

    def __init__(self, size: int, *, seed: int, most: int):
        self.size, self.seed, self.most = size, seed, most
        self.world = MovingWorld(size, snap=size // SNAP_CELLS)
        self.identity: dict[str, Any] = {"moving scenes": {"size": size, "snap": self.world.snap, "seed": seed}}

    def scenes(self, first: int, n: int, split: Split) -> list[MovingScene]:
        """What the clips of these numbers show."""
        return [self.world.moving(self.seed, number, split) for number in range(first, first + n)]

    def drawn(self, first: int, n: int, split: Split) -> list[MovingScene]:
        """What the atlases of these numbers show: a clip, or, of some whose background turns into another, that one
        alone, which is drawn by itself."""
        scenes = self.scenes(first, n, split)
        return [
            replace(scene, background=scene.then, things=()) if scene.then and number % 2 else scene
            for number, scene in enumerate(scenes, first)
        ]

    def train(self, first: int, n: int) -> Images:
        """Atlases (n, height, width, 4) uint8 of clips, colours premultiplied and cover, and the captions."""
        return self._atlases(self.drawn(first, n, "train"))

    def validation(self, first: int, n: int) -> Images:
        return self._atlases(self.drawn(first, n, "heldout"))

    def sheet_prompts(self) -> Sequence[str]:
        return SHOWN

    def _atlases(self, scenes: Sequence[MovingScene]) -> Images:
        return np.stack([self.atlas(scene) for scene in scenes]), [scene.caption for scene in scenes]

    def atlas(self, scene: MovingScene) -> np.ndarray:
        """The first background of a clip, and below it each thing, side by side, two in a row of `size` pixels."""
        across = self.size // LAYER
        whole = np.zeros((self.size + self.most // across * LAYER, self.size, 4), dtype=np.uint8)
        whole[: self.size, :, :3] = background(scene.background, scene.variant, self.size)
        whole[: self.size, :, 3] = 255
        for place, thing in enumerate(scene.things):
            row, column = divmod(place, across)
            top, left = self.size + row * LAYER, column * LAYER
            pixels = layer(thing.kind, thing.colour).permute(1, 2, 0).numpy()
            whole[top : top + LAYER, left : left + LAYER] = (255 * pixels).round()
        return whole
