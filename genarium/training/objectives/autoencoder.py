"""The objective of variational autoencoders: pictures as they were, from latents that could be noise."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.data.images import to_images, to_tensor
from genarium.models.vae import VAE, Autoencoder
from genarium.training.objective import Objective
from genarium.training.sources.images import Source, write_sheet

N_VALIDATION = 256
N_SHOWN = 8


class Reconstruct(Objective):
    """Distance of pictures plus `beta` times the divergence (Kingma and Welling 2013, eq. 7; Higgins et al. 2017).

    The distance is L1 and four times the squared error, means over pixels in [-1, 1]: the square teaches colours and
    shapes soon, where L1 alone stays with the median of all that could be there; L1 then keeps edges sharp. The
    divergence is in nats a number of the latents.
    """

    model: VAE | Autoencoder

    def __init__(
        self, model: VAE | Autoencoder, source: Source, *, batch_size: int, beta: float, folder: Path, seed: int
    ):
        self.model, self.source, self.batch_size, self.beta = model, source, batch_size, beta
        self.folder, self.seed = folder, seed
        self.identity: dict[str, Any] = {
            "data": source.identity,
            "network": asdict(model.config),
            "objective": {"batch_size": batch_size, "beta": beta},
        }
        self.validation = to_tensor(source.validation(0, N_VALIDATION)[0])

    def batch(self, index: int) -> tuple[Tensor, ...]:
        images, _ = self.source.train(index * self.batch_size, self.batch_size)
        return (to_tensor(images),)

    def loss(self, images: Tensor) -> Tensor:
        found = self.model.encode(images)
        again = self.model.decode(found.sample()).float()
        distance = F.l1_loss(again, images) + 4 * F.mse_loss(again, images)
        divergence = found.divergence().mean() / found.mean[0].numel()
        return distance + self.beta * divergence

    def evaluate(self) -> dict[str, float]:
        """`loss` on held-out pictures, and `psnr` of what comes back from the means of the latents, in dB."""
        device = next(self.model.parameters()).device
        losses, squares = [], []
        for images in self.validation.split(self.batch_size):
            there = images.to(device)
            losses.append(float(self.loss(there)) * len(images))
            again = self.model.decode(self.model.encode(there).mean).clamp(-1, 1)
            squares.append(float(F.mse_loss(again, there)) * len(images))
        mean_square = sum(squares) / len(self.validation)
        return {
            "loss": sum(losses) / len(self.validation),
            "psnr": float(10 * torch.log10(torch.tensor(4.0 / mean_square))),
        }

    def preview(self, step: int) -> str:
        """Pictures above what comes back, and above what noise gives."""
        shown = self.validation[:N_SHOWN].to(next(self.model.parameters()).device)
        found = self.model.encode(shown)
        rows = [to_images(shown), to_images(self.model.decode(found.mean))]
        if self.model.draws_noise:
            noise = torch.randn(found.mean.shape, generator=torch.Generator().manual_seed(self.seed))
            rows.append(to_images(self.model.decode(noise.to(shown.device))))
        return write_sheet(self.folder, step, rows)


def latent_moments(model: Autoencoder, source: Source, n: int = 512) -> tuple[float, float]:
    """Mean and standard deviation of the latents of n training pictures."""
    device = next(model.parameters()).device
    with torch.inference_mode():
        parts = [model.encode(to_tensor(source.train(first, 64)[0]).to(device)).sample() for first in range(0, n, 64)]
    latents = torch.cat(parts)
    return float(latents.mean()), float(latents.std())
