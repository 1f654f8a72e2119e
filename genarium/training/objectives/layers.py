"""The objective of moving pictures: say of a noisy atlas, a caption and a plan the layers that a clip is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from genarium.data.layers import Way, clip, moments
from genarium.models.moving_plan import atlas_size, parts_of
from genarium.scenes.world import Split
from genarium.training.objectives.moving_plans import moving_plan_rows
from genarium.training.objectives.thumbnails import DrawPlans
from genarium.training.sources.images import write_sheet
from genarium.training.sources.moving import MovingScenes

SHEET_FRAMES = 5


class DrawLayers(DrawPlans):
    """The same of atlases; sheets show frames of the clips that the planner's own plans come to."""

    scenes_of = MovingScenes

    def _latent_shape(self) -> tuple[int, int, int]:
        words: Any = self.planner.config.words
        return (self.networks.config.latent_channels, *atlas_size(words))

    def _plans(self, first: int, n: int, split: Split) -> Tensor:
        words: Any = self.planner.config.words
        return moving_plan_rows(words, self.scenes.drawn(first, n, split), self.scenes.world.snap)

    def preview(self, step: int) -> str:
        """The shown prompts, drawn in `steps` at `guidance`: a row of frames of each."""
        seeds = range(len(self.shown))
        asked, not_asked = self._conditions(self.shown, seeds)
        atlases = self.networks.from_latents(self._draw(asked, not_asked, seeds), asked)
        rows = [self._frames(atlas, plan) for atlas, plan in zip(atlases, asked["plan"], strict=True)]
        return write_sheet(self.folder, step, rows)

    def _frames(self, atlas: Tensor, row: Tensor) -> np.ndarray:
        words: Any = self.planner.config.words
        under, layers = parts_of((atlas.float() / 2 + 0.5).clamp(0, 1), words)
        ways = [Way(*one) for one in words.read(row.tolist()).ways()]
        shown = clip(under[:3], under[:3], layers[: len(ways)], ways, moments(SHEET_FRAMES), words.side)
        return (shown * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
