"""The objective of latent diffusion: say of noisy latents and a caption which way the picture lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genarium.conditioning.prompts import PromptEncoder
from genarium.data.images import to_images, to_tensor
from genarium.devices import cpu_bfloat16
from genarium.diffusion.guidance import guided
from genarium.diffusion.process import Process
from genarium.diffusion.schedules import FlowSchedule, add_noise, draw_noise, generators
from genarium.diffusion.targets import draw_timesteps, target
from genarium.models.text_to_image import Conditioning, TextToImage
from genarium.training.objective import Objective
from genarium.training.sources.images import Images, Scenes, Source, detail, write_sheet

N_VALIDATION = 256
LEVELS_WATCHED = (0.15, 0.4, 0.6, 0.85)
"""The shares of noise that held-out pictures are judged at."""
DRAWS = 2
"""Levels of noise, mirrored, that a picture is seen at in one step: it is encoded, and its caption read, once."""
DROPPED = 0.1
"""Captions left out, so that the network also learns pictures as such, for classifier-free guidance."""
PROCESS = Process(FlowSchedule(), prediction="flow", sampler="euler")
"""What is trained, and how it is drawn from."""


class Denoise(Objective):
    """Squared error of the flow, mean over the latents (Lipman et al. 2022, eq. 9; Rombach et al. 2022, eq. 2).

    Places with detail count up to three times as much (`sources.images.detail`). Autoencoder and text encoder are
    frozen. Timesteps are drawn logit-normal (Esser et al. 2024, 3.1).
    """

    spread = 1.0
    """Standard deviation of the levels' logits."""

    def __init__(
        self,
        networks: TextToImage,
        prompts: PromptEncoder,
        source: Source,
        *,
        batch_size: int,
        n_closeups: int = 0,
        folder: Path,
        seed: int,
        shown: Sequence[str],
    ):
        self.networks, self.model = networks, networks.denoiser
        config: Any = self.model.config
        self.prompts, self.source = prompts, source
        self.batch_size, self.n_closeups = batch_size, n_closeups
        self.folder, self.seed, self.shown = folder, seed, list(shown)
        self.process, self.steps, self.guidance = PROCESS, 20, 3.0
        self.factor = networks.config.factor
        self.shape = self._latent_shape()
        self.identity: dict[str, Any] = {
            "data": source.identity,
            "network": asdict(config),
            "objective": {
                "batch_size": batch_size,
                "closeups": n_closeups,
                "draws": DRAWS,
                "dropped": DROPPED,
                "prediction": PROCESS.prediction,
            },
        }
        images, self.captions = source.validation(0, N_VALIDATION)
        self.validation_images = to_tensor(images)
        self.validation = self._latents(self.validation_images)

    def _latent_shape(self) -> tuple[int, int, int]:
        """Z, h and w of what is drawn."""
        side = self.source.size // self.factor
        return self.networks.config.latent_channels, side, side

    def batch(self, index: int) -> tuple[Tensor, ...]:
        """Pictures, their tokens and lengths, timesteps and noise; then the same of close-ups, where there are any."""
        random = np.random.default_rng([self.seed, index])
        parts = self._noised(self.source.train(index * self.batch_size, self.batch_size), random)
        if self.n_closeups:
            assert isinstance(self.source, Scenes)
            parts += self._noised(self.source.closeups(index * self.n_closeups, self.n_closeups), random)
        return parts

    def _noised(self, shown: Images, random: np.random.Generator) -> tuple[Tensor, ...]:
        images, captions = shown
        told = ["" if random.random() < DROPPED else caption for caption in captions]
        generator = torch.Generator().manual_seed(int(random.integers(2**63)))
        t = draw_timesteps(PROCESS.schedule, len(told), how="logit_normal", std=self.spread, generator=generator)
        t = torch.stack((t, PROCESS.schedule.n_timesteps - t), dim=1).flatten()
        channels, *_ = self.shape
        height, width = (pixels // self.factor for pixels in images.shape[1:3])
        noise = torch.randn(len(t), channels, height, width, generator=generator)
        return (to_tensor(images), *self.prompts.tokens(told), t, noise)

    def loss(self, *parts: Tensor) -> Tensor:
        """Mean over the pictures of a batch, and over its close-ups; of both, their mean."""
        errors = [self._error_of(*parts[first : first + 5]) for first in range(0, len(parts), 5)]
        return torch.stack(errors).mean()

    def _error_of(self, images: Tensor, tokens: Tensor, lengths: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        asked = self.prompts.conditioning(tokens, lengths).repeated(DRAWS)
        weight = detail(images, self.factor)
        known = (self._latents(images), weight / weight.mean())
        latents, weight = (part.repeat_interleave(DRAWS, 0) for part in known)
        return (weight * self._errors(latents, asked, t, noise)).mean()

    def _errors(self, latents: Tensor, asked: Conditioning, t: Tensor, noise: Tensor) -> Tensor:
        x = add_noise(PROCESS.schedule, latents, noise, t)
        wanted = target(PROCESS.prediction, latents, noise, *PROCESS.schedule.signal_noise(t))
        return (self.model(x, t, **asked).float() - wanted).square()

    @torch.no_grad()
    def _latents(self, images: Tensor) -> Tensor:
        device = next(self.model.parameters()).device
        return torch.cat([self.networks.to_latents(part) for part in images.to(device).split(64)])

    def evaluate(self) -> dict[str, float]:
        """`loss` on held-out pictures, at the same levels and with the same noise each time."""
        losses = []
        for latents, rows, noise in self._validation_parts():
            asked = self._validation_conditioning(rows)
            for share in LEVELS_WATCHED:
                t = torch.full((len(latents),), share * PROCESS.schedule.n_timesteps, device=latents.device)
                losses.append(float(self._errors(latents, asked, t, noise).mean()))
        return {"loss": sum(losses) / len(losses)}

    def _validation_parts(self) -> Iterator[tuple[Tensor, slice, Tensor]]:
        """Held-out latents, 64 at a time, which of them they are, and the noise that is each one's own."""
        for first in range(0, len(self.validation), 64):
            latents = self.validation[first : first + 64]
            rows = range(first, first + len(latents))
            noise = draw_noise(generators(rows), latents.shape[1:], device=latents.device)
            yield latents, slice(first, first + 64), noise

    def _validation_conditioning(self, rows: slice) -> Conditioning:
        """What the network is told of held-out pictures."""
        return self.prompts.conditioning(*self.prompts.tokens(self.captions[rows]))

    def preview(self, step: int) -> str:
        """The shown prompts, drawn in `steps` at `guidance`, two of each."""
        rows = []
        device = self.validation.device.type
        faster = device != "cpu" or cpu_bfloat16() == "native"
        with torch.autocast(device, dtype=torch.bfloat16, enabled=faster):
            for row in range(2):
                seeds = range(row * 100, row * 100 + len(self.shown))
                asked, not_asked = self._conditions(self.shown, seeds)
                latents = self._draw(asked, not_asked, seeds)
                rows.append(to_images(self.networks.from_latents(latents, asked)))
        return write_sheet(self.folder, step, rows)

    def _conditions(self, prompts: Sequence[str], seeds: Sequence[int]) -> tuple[Conditioning, Conditioning]:
        """What the network is told to draw prompts, and what it is guided away from."""
        both = self.prompts.conditioning(*self.prompts.tokens([*prompts, *[""] * len(prompts)]))
        return both.rows(slice(len(prompts))), both.rows(slice(len(prompts), None))

    def _draw(self, asked: Conditioning, not_asked: Conditioning, seeds: Sequence[int]) -> Tensor:
        """Latents (B, Z, h, w), the noise of each drawn with its seed."""
        source = generators(seeds)
        x = draw_noise(source, self.shape, device=self.validation.device)
        denoise = guided(self.model, asked, not_asked, self.guidance)
        return self.process.sample(denoise, x, self.process.levels(self.steps), generators=source)
