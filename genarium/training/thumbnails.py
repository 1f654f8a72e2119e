"""The objective of diffusion of thumbnails: say of a noisy thumbnail and a caption the whole picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.checkpoints.prompts import PromptEncoder
from genarium.diffusion.schedules import add_noise
from genarium.models.thumbnails import Thumbnails
from genarium.training.denoise import DRAWS, PROCESS, Denoise
from genarium.training.pictures import Source, detail

DISTANCE = 0.25
"""Weight of the distance beside the squared error, for sharp edges; it vanishes with noise, whose mean is asked for."""
SPREAD = 1.5
"""Levels are drawn wider than of latents: what is said at little noise is the picture itself."""


class DrawThumbnails(Denoise):
    """Squared error and some distance to the picture, and squared error to its thumbnail's detail.

    A level with the share b of noise counts 0.3 / (0.1 + b²): where much is open, errors are large whatever is learned.
    """

    spread = SPREAD

    def __init__(self, model: Thumbnails, prompts: PromptEncoder, source: Source, **more: Any):
        super().__init__(model, model, prompts, source, **more)
        self.drawing = model
        # New noise at every step lets a thing appear that no place was sure of: Euler's steps lose it.
        self.process, self.steps, self.guidance = replace(PROCESS, sampler="ddpm"), 24, 2.0
        self.identity["objective"] |= {"distance": DISTANCE, "spread": SPREAD}

    def _error_of(self, pictures: Tensor, tokens: Tensor, lengths: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        words = self.prompts.states(tokens, lengths)
        weight = detail(pictures, self.drawing.factor)
        known = (pictures, self.drawing.to_latents(pictures), *words, weight)
        pictures, latents, states, real, weight = (part.repeat_interleave(DRAWS, 0) for part in known)
        x = add_noise(PROCESS.schedule, latents, noise, t)
        said, thumbnail = (part.float() for part in self.drawing.say(x, t, states, real))
        share = (t / PROCESS.schedule.n_timesteps)[:, None, None, None]
        error = said - pictures
        each = error.square() + DISTANCE * (1 - share).square() * error.abs()
        cells = F.avg_pool2d(each, self.drawing.factor).mean(dim=1, keepdim=True)
        of_detail = (thumbnail[:, -1:] - latents[:, -1:]).square()
        return (0.3 / (0.1 + share.square()) * (weight * cells + 0.1 * of_detail)).mean()

    def evaluate(self) -> dict[str, float]:
        """`loss`, that of the flow of thumbnails, and `psnr` in dB of held-out pictures drawn from their thumbnails."""
        squares = []
        for first in range(0, len(self.watched), 64):
            words = self.prompts.states(*self.prompts.tokens(self.captions[first : first + 64]))
            said = self.drawing.from_latents(self.watched[first : first + 64], *words).float().clamp(-1, 1)
            pictures = self.watched_pictures[first : first + 64].to(said.device)
            squares.append((said - pictures).square().flatten(1).mean(dim=1))
        found: dict[str, Any] = super().evaluate()
        return found | {"psnr": float(10 * torch.log10(4.0 / torch.cat(squares).mean()))}
