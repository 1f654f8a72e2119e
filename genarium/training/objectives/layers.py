"""The objective of moving pictures: say of a noisy atlas, a caption and a plan the layers that a clip is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genarium.conditioning.prompts import PromptEncoder
from genarium.data.layers import Way, clip, moments
from genarium.models.moving_plan import atlas_size, parts_of
from genarium.models.text_to_image import Conditioning
from genarium.models.thumbnails import ThumbnailDiffusion
from genarium.scenes.world import Split
from genarium.training.objectives.moving_plans import moving_plan_of
from genarium.training.objectives.thumbnails import SILENT, WITHOUT_PLAN, DrawThumbnails
from genarium.training.sources.images import write_sheet
from genarium.training.sources.moving import MovingScenes

SHEET_FRAMES = 5


class DrawLayers(DrawThumbnails):
    """`DrawThumbnails` of atlases; plans of some, and of all without a caption, are left out.

    Sheets show frames of the clips that the planner's own plans come to.
    """

    def __init__(self, networks: ThumbnailDiffusion, prompts: PromptEncoder, source: MovingScenes, **more: Any):
        assert networks.planner is not None
        self.planner, self.moving = networks.planner, source
        self.words: Any = networks.planner.config.words
        super().__init__(networks, prompts, source, **more)
        self.steps = 8  # a plan leaves little to settle
        self.identity["objective"] |= {"without_plan": WITHOUT_PLAN}
        self.validation_plans = self._plans(0, len(self.validation), "heldout")

    def _latent_shape(self) -> tuple[int, int, int]:
        return (self.networks.config.latent_channels, *atlas_size(self.words))

    def _plans(self, first: int, n: int, split: Split) -> Tensor:
        drawn = self.moving.drawn(first, n, split)
        return torch.tensor([self.words.write(moving_plan_of(scene, self.moving.world.snap)) for scene in drawn])

    def batch(self, index: int) -> tuple[Tensor, ...]:
        parts = super().batch(index)
        random = np.random.default_rng([self.seed, index, 1])
        kept = (parts[2] > SILENT) & torch.from_numpy(random.random(self.batch_size) >= WITHOUT_PLAN)
        return (*parts, self._plans(index * self.batch_size, self.batch_size, "train") * kept[:, None])

    def loss(self, *parts: Tensor) -> Tensor:
        return self._error_of(*parts)

    def _validation_conditioning(self, rows: slice) -> Conditioning:
        plan = self.validation_plans[rows].to(self.validation.device)
        return super()._validation_conditioning(rows).also(plan=plan)

    def preview(self, step: int) -> str:
        """The shown prompts, drawn in `steps` at `guidance`: a row of frames of each."""
        seeds = range(len(self.shown))
        asked, not_asked = self._conditions(self.shown, seeds)
        atlases = self.networks.from_latents(self._draw(asked, not_asked, seeds), asked)
        rows = [self._frames(atlas, plan) for atlas, plan in zip(atlases, asked["plan"], strict=True)]
        return write_sheet(self.folder, step, rows)

    def _frames(self, atlas: Tensor, row: Tensor) -> np.ndarray:
        plan = self.words.read(row.tolist())
        under, layers = parts_of((atlas.float() / 2 + 0.5).clamp(0, 1), self.words)
        ways = [Way(*one) for one in plan.ways()]
        shown = clip(under[:3], under[:3], layers[: len(ways)], ways, moments(SHEET_FRAMES), self.words.side)
        return (shown * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()

    def _conditions(self, prompts: Sequence[str], seeds: Sequence[int]) -> tuple[Conditioning, Conditioning]:
        asked, not_asked = super()._conditions(prompts, seeds)
        written = (
            self.planner.write(states[None], mask[None], torch.Generator().manual_seed(seed))
            for states, mask, seed in zip(asked["words"], asked["mask"], seeds, strict=True)
        )
        plans = torch.cat(list(written))
        return asked.also(plan=plans), not_asked.also(plan=torch.zeros_like(plans))
