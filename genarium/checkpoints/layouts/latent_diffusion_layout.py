"""Latent diffusion: diffusers' `unet/` and `vae/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium.checkpoints.layouts import Layout

if TYPE_CHECKING:
    from genarium.models.latent_diffusion import LatentDiffusion, LatentDiffusionConfig


def read_config(path: Path) -> LatentDiffusionConfig:
    from genarium.checkpoints.layouts import latent_diffusion

    return latent_diffusion.read_config(path)


def load(path: Path, **how: Any) -> LatentDiffusion:
    from genarium.checkpoints.layouts import latent_diffusion

    return latent_diffusion.load(path, **how)


def save(model: LatentDiffusion, path: Path, **how: Any) -> dict[str, list[str]]:
    from genarium.checkpoints.layouts import latent_diffusion

    return latent_diffusion.save(model, path, **how)


LAYOUT = Layout("image", ("UNet2DConditionModel",), load, read_config, save)
