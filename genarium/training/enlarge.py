"""The objective of a cascade's second half: pictures as they were, from thumbnails with noise and their captions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.checkpoints.prompts import PromptEncoder
from genarium.data.pictures import to_pictures, to_tensor
from genarium.diffusion.schedules import expand
from genarium.models.enlarger import Enlarger
from genarium.training.pictures import Source, detail, write_sheet

N_WATCHED = 256
N_SHOWN = 12
NOISIEST = 0.4
"""Levels of noise on thumbnails are drawn evenly from 0 to this, a standard deviation where theirs is about one."""
DROPPED = 0.05
"""Captions left out, so that a picture without a prompt can be drawn too."""


class Enlarge:
    """Squared error and a quarter of the distance, where there is detail up to three times as much (`detail`).

    The text encoder is frozen. Noise on the thumbnails: Ho et al. 2021 (arXiv:2106.15282), section 4.2.
    """

    def __init__(
        self,
        model: Enlarger,
        prompts: PromptEncoder,
        source: Source,
        *,
        batch_size: int,
        folder: Path,
        seed: int,
    ):
        self.model, self.prompts, self.source = model, prompts, source
        self.batch_size, self.folder, self.seed = batch_size, folder, seed
        self.identity: dict[str, Any] = {
            "data": source.identity,
            "network": asdict(model.config),
            "objective": {"batch_size": batch_size, "noisiest": NOISIEST, "dropped": DROPPED},
        }
        pictures, self.captions = source.heldout(0, N_WATCHED)
        self.watched = to_tensor(pictures)

    def batch(self, index: int) -> tuple[Tensor, ...]:
        """Pictures, their tokens and lengths, levels of noise and the noise."""
        pictures, captions = self.source.train(index * self.batch_size, self.batch_size)
        random = np.random.default_rng([self.seed, index])
        told = ["" if random.random() < DROPPED else caption for caption in captions]
        generator = torch.Generator().manual_seed(int(random.integers(2**63)))
        level = NOISIEST * torch.rand(len(told), generator=generator)
        side = pictures.shape[1] // self.model.factor
        noise = torch.randn(len(told), 3, side, side, generator=generator)
        return (to_tensor(pictures), *self.prompts.tokens(told), level, noise)

    def loss(self, pictures: Tensor, tokens: Tensor, lengths: Tensor, level: Tensor, noise: Tensor) -> Tensor:
        words = self.prompts.states(tokens, lengths)
        thumbnails = self.model.to_latents(pictures)
        again = self.model(thumbnails + expand(level, noise) * noise, level, *words).float()
        return self._distance(again, pictures)

    def _distance(self, again: Tensor, pictures: Tensor) -> Tensor:
        error = again - pictures
        each = F.avg_pool2d(error.square() + 0.25 * error.abs(), self.model.factor).mean(dim=1, keepdim=True)
        return (detail(pictures, self.model.factor) * each).mean()

    def evaluate(self) -> dict[str, float]:
        """On held-out pictures, their thumbnails without noise: `loss` as it is trained, and `psnr` in dB."""
        losses, squares = [], []
        for first in range(0, len(self.watched), 64):
            pictures, again = self._again(first, 64)
            losses.append(float(self._distance(again, pictures)) * len(pictures))
            squares.append(float(F.mse_loss(again.clamp(-1, 1), pictures)) * len(pictures))
        mean_square = sum(squares) / len(self.watched)
        return {
            "loss": sum(losses) / len(self.watched),
            "psnr": float(10 * torch.log10(torch.tensor(4.0 / mean_square))),
        }

    def preview(self, step: int) -> str:
        """Pictures above what comes back."""
        pictures, again = self._again(0, N_SHOWN)
        return write_sheet(self.folder, step, [to_pictures(pictures), to_pictures(again)])

    def _again(self, first: int, n: int) -> tuple[Tensor, Tensor]:
        """Watched pictures, and what comes back from their thumbnails and captions."""
        device = next(self.model.parameters()).device
        pictures = self.watched[first : first + n].to(device)
        words = self.prompts.states(*self.prompts.tokens(self.captions[first : first + n]))
        return pictures, self.model.from_latents(self.model.to_latents(pictures), *words).float()
