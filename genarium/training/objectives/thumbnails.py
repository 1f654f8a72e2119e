"""The objective of diffusion of thumbnails: say of a noisy thumbnail and a caption the whole picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.conditioning.prompts import PromptEncoder
from genarium.diffusion.schedules import add_noise
from genarium.models.text_to_image import Conditioning
from genarium.models.thumbnails import ThumbnailDiffusion
from genarium.scenes.world import Split
from genarium.training.objectives.denoise import DRAWS, PROCESS, Denoise
from genarium.training.objectives.plans import plan_rows
from genarium.training.sources.images import Scenes, Source, detail

DISTANCE = 0.25
"""Weight of the distance beside the squared error, for sharp edges; it vanishes with noise, whose mean is asked for."""
SPREAD = 1.5
"""Levels are drawn wider than of latents: what is said at little noise is the picture itself."""
WITHOUT_PLAN = 0.15
"""Plans left out, so that the network also draws without one."""
SILENT = 2
"""Tokens of an empty caption: its beginning and end."""


class DrawThumbnails(Denoise):
    """Squared error and some distance to the picture, and squared error to its thumbnail's detail.

    A level with the share b of noise counts 0.3 / (0.1 + b²): where much is open, errors are large whatever is learned.
    """

    spread = SPREAD

    def __init__(self, networks: ThumbnailDiffusion, prompts: PromptEncoder, source: Source, **more: Any):
        super().__init__(networks, prompts, source, **more)
        self.drawing = networks.denoiser
        # New noise at every step lets a thing appear that no place was sure of: Euler's steps lose it.
        self.process, self.steps, self.guidance = replace(PROCESS, sampler="ddpm"), 24, 2.0
        self.identity["objective"] |= {"distance": DISTANCE, "spread": SPREAD}

    def _error_of(
        self, images: Tensor, tokens: Tensor, lengths: Tensor, t: Tensor, noise: Tensor, plan: Tensor | None = None
    ) -> Tensor:
        asked = self.prompts.conditioning(tokens, lengths)
        asked = (asked if plan is None else asked.also(plan=plan)).repeated(DRAWS)
        known = (images, self.drawing.to_latents(images), detail(images, self.factor))
        images, latents, weight = (part.repeat_interleave(DRAWS, 0) for part in known)
        x = add_noise(PROCESS.schedule, latents, noise, t)
        said, thumbnail = (part.float() for part in self.drawing.say(x, t, **asked))
        share = (t / PROCESS.schedule.n_timesteps)[:, None, None, None]
        error = said - images
        each = error.square() + DISTANCE * (1 - share).square() * error.abs()
        cells = F.avg_pool2d(each, self.factor).mean(dim=1, keepdim=True)
        of_detail = (thumbnail[:, -1:] - latents[:, -1:]).square()
        return (0.3 / (0.1 + share.square()) * (weight * cells + 0.1 * of_detail)).mean()

    def evaluate(self) -> dict[str, float]:
        """`loss`, that of the flow of thumbnails, and `psnr` in dB of held-out pictures drawn from their thumbnails."""
        squares = []
        for latents, rows, _ in self._validation_parts():
            said = self.networks.from_latents(latents, self._validation_conditioning(rows)).float().clamp(-1, 1)
            images = self.validation_images[rows].to(said.device)
            squares.append((said - images).square().flatten(1).mean(dim=1))
        found: dict[str, Any] = super().evaluate()
        return found | {"psnr": float(10 * torch.log10(4.0 / torch.cat(squares).mean()))}


class DrawPlans(DrawThumbnails):
    """The same of composed scenes by their plans; those of some, and of all without a caption, are left out.

    Sheets show what the planner's own plans come to.
    """

    scenes_of: ClassVar[type] = Scenes
    """What it learns from."""

    def __init__(self, networks: ThumbnailDiffusion, prompts: PromptEncoder, source: Source, **more: Any):
        assert isinstance(source, self.scenes_of)
        assert networks.planner is not None
        self.planner = networks.planner
        self.scenes: Any = source
        super().__init__(networks, prompts, source, **more)
        self.steps = 8  # a plan leaves little to settle
        self.identity["objective"] |= {"without_plan": WITHOUT_PLAN}
        self.validation_plans = self._plans(0, len(self.validation), "heldout")

    def _plans(self, first: int, n: int, split: Split) -> Tensor:
        words: Any = self.planner.config.words
        return plan_rows(words, self.scenes.scenes(first, n, split), self.scenes.world.snap)

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

    def _conditions(self, prompts: Sequence[str], seeds: Sequence[int]) -> tuple[Conditioning, Conditioning]:
        asked, not_asked = super()._conditions(prompts, seeds)
        written = (
            self.planner.write(states[None], mask[None], torch.Generator().manual_seed(seed))
            for states, mask, seed in zip(asked["words"], asked["mask"], seeds, strict=True)
        )
        plans = torch.cat(list(written))
        return asked.also(plan=plans), not_asked.also(plan=torch.zeros_like(plans))
