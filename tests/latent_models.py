"""A latent diffusion folder as `genarium train diffusion` writes it, of random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from genarium.checkpoints import latent_diffusion as layout
from genarium.models.unet import UNet, UNetConfig
from genarium.models.vae import Autoencoder, AutoencoderConfig
from genarium.training.denoise import PROCESS

WORDS = 384
"""As wide as the states of starter/encoder."""


def latent_folder(path: Path, *, context: int = 32, world: str | None = None) -> Path:
    torch.manual_seed(0)
    autoencoder = Autoencoder(
        AutoencoderConfig(
            latent_channels=4,
            block_out_channels=(8, 16, 16),
            layers_per_block=1,
            norm_num_groups=4,
            sample_size=32,
            scaling_factor=2.0,
        )
    )
    unet = UNet(
        UNetConfig(
            block_out_channels=(32,),
            attention=(True,),
            layers_per_block=1,
            heads=(2,),
            sample_size=8,
            cross_attention_dim=WORDS,
            norm_num_groups=8,
        )
    )
    layout.save_autoencoder(autoencoder, path / "vae", dtype=torch.float16)
    layout.save_unet(unet, path / "unet", dtype=torch.float16)
    layout.write_pipeline(
        path, PROCESS, text_encoder="starter/encoder", context=context, steps=20, guidance=3.0, world=world
    )
    return path
