"""The objective of progressive distillation: in one step to where the teacher comes in several, guidance included."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.data.images import to_tensor
from genarium.diffusion.guidance import guided
from genarium.diffusion.schedules import expand
from genarium.models.latent_diffusion import LatentDiffusion
from genarium.models.text_to_image import Conditioning
from genarium.models.unet import UNet
from genarium.training.objectives.denoise import DRAWS, PROCESS, Denoise


class FewerSteps(Denoise):
    """Squared error to the teacher's mean flow over each of `steps` steps (Salimans and Ho 2022, arXiv:2202.00512,
    section 3, on straight paths), the teacher guided (Meng et al. 2023, arXiv:2210.03142).

    The teacher takes `substeps` Euler steps within each step of the student, who is drawn at guidance 1: the teacher's
    guidance is in its weights. One noise level in `steps` is drawn for each row, since the student meets no others.
    """

    def __init__(
        self,
        networks: LatentDiffusion,
        teacher: UNet,
        *,
        steps: int,
        substeps: int,
        teacher_guidance: float,
        **more: Any,
    ):
        super().__init__(networks, **more)
        self.teacher, self.substeps, self.teacher_guidance = teacher, substeps, teacher_guidance
        self.steps, self.guidance = steps, 1.0
        self.levels = PROCESS.levels(steps)
        told = {"steps": steps, "substeps": substeps, "teacher_guidance": teacher_guidance}
        self.identity["objective"] = {"batch_size": self.batch_size, "draws": DRAWS, **told}

    def batch(self, index: int) -> tuple[Tensor, ...]:
        images, captions = self.source.train(index * self.batch_size, self.batch_size)
        random = np.random.default_rng([self.seed, index])
        rows = self.batch_size * DRAWS
        level = torch.from_numpy(random.permutation(np.arange(rows) % self.steps))
        noise = torch.randn(rows, *self.shape, generator=torch.Generator().manual_seed(int(random.integers(2**63))))
        return (to_tensor(images), *self.prompts.tokens([*captions, ""]), level, noise)

    def loss(self, *parts: Tensor) -> Tensor:
        images, tokens, lengths, level, noise = parts
        words, none = self._split(tokens, lengths)
        latents = self._latents(images).repeat_interleave(DRAWS, 0)
        return self._distance(latents, words.repeated(DRAWS), none, level, noise)

    def _split(self, tokens: Tensor, lengths: Tensor) -> tuple[Conditioning, Conditioning]:
        """What is said of captions, and of the empty one, which is the last."""
        told = self.prompts.conditioning(tokens, lengths)
        return told.rows(slice(-1)), told.rows(slice(-1, None))

    def _distance(
        self, latents: Tensor, words: Conditioning, none: Conditioning, level: Tensor, noise: Tensor
    ) -> Tensor:
        signal, share = (torch.tensor(part, device=latents.device) for part in (self.levels.signal, self.levels.noise))
        x = expand(signal[level], latents) * latents + expand(share[level], latents) * noise
        begin, end = share[level], share[level + 1]
        with torch.no_grad():
            denoise = guided(self.teacher, words, none.expanded(len(x)), self.teacher_guidance)
            there = x
            for part in range(self.substeps):
                now = begin + (end - begin) * part / self.substeps
                flow = denoise(there, now * PROCESS.schedule.n_timesteps).float()
                there = there + expand((end - begin) / self.substeps, x) * flow
            wanted = (there - x) / expand(end - begin, x)
        return F.mse_loss(self.model(x, begin * PROCESS.schedule.n_timesteps, **words).float(), wanted)

    def evaluate(self) -> dict[str, float]:
        """`loss` on held-out pictures at every level, with the same noise each time."""
        losses = []
        for latents, rows, noise in self._validation_parts():
            words, none = self._split(*self.prompts.tokens([*self.captions[rows], ""]))
            for level in range(self.steps):
                levels = torch.full((len(latents),), level, device=latents.device)
                losses.append(float(self._distance(latents, words, none, levels, noise)))
        return {"loss": sum(losses) / len(losses)}
