"""Folders as `genarium train diffusion` writes them, of random weights: of latents, of thumbnails, and by plans."""

from __future__ import annotations

from pathlib import Path

import torch

from genarium.checkpoints.layouts import text_to_image as layout
from genarium.checkpoints.layouts.pipeline import VIDEO_PIPELINE
from genarium.models.dit import DiTConfig
from genarium.models.latent_diffusion import LatentDiffusion
from genarium.models.plan import Planner, PlannerConfig, PlanWords
from genarium.models.thumbnails import ThumbnailDiffusion, Thumbnails, ThumbnailsConfig
from genarium.models.unet import UNet, UNetConfig
from genarium.models.vae import Autoencoder, AutoencoderConfig
from genarium.training.objectives.denoise import PROCESS
from genarium.training.objectives.moving_plans import moving_plan_words
from genarium.training.objectives.plans import plan_words

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
    layout.write(
        path,
        LatentDiffusion(unet, autoencoder),
        PROCESS,
        text_encoder="starter/encoder",
        context=context,
        steps=20,
        guidance=3.0,
        world=world,
    )
    return path


def thumbnails_folder(path: Path) -> Path:
    model = ThumbnailDiffusion(thumbnails())
    layout.write(path, model, PROCESS, text_encoder="starter/encoder", context=32, steps=20, guidance=3.0)
    return path


def planned_folder(path: Path) -> Path:
    """Of thumbnails that are drawn by plans."""
    plans = planner()
    model = ThumbnailDiffusion(thumbnails(plan=plans.config.words), plans)
    layout.write(path, model, PROCESS, text_encoder="starter/encoder", context=32, steps=20, guidance=3.0)
    return path


def moving_folder(path: Path) -> Path:
    """Of clips in layers, of random weights."""
    torch.manual_seed(0)
    words = moving_plan_words()
    plans = Planner(PlannerConfig(words, d_model=64, n_layers=1, n_heads=2, cross_attention_dim=WORDS)).eval()
    network = DiTConfig(
        in_channels=5, out_channels=257, d_model=64, n_layers=1, n_heads=1, d_ff=96, cross_attention_dim=WORDS
    )
    config = ThumbnailsConfig(network=network, plan=words, channels=4)
    model = ThumbnailDiffusion(Thumbnails(config), plans)
    for weights in (model.denoiser.network.head, model.denoiser.network.level_embedding):
        torch.nn.init.normal_(weights.weight, std=0.1)
    layout.write(
        path,
        model,
        PROCESS,
        text_encoder="starter/encoder",
        context=32,
        steps=2,
        guidance=2.0,
        world="moving scenes",
        pipeline=VIDEO_PIPELINE,
    )
    return path


def planner() -> Planner:
    torch.manual_seed(0)
    return Planner(PlannerConfig(plan_words(), d_model=64, n_layers=2, n_heads=2, cross_attention_dim=WORDS)).eval()


def thumbnails(size: int = 32, plan: PlanWords | None = None) -> Thumbnails:
    torch.manual_seed(0)
    network = DiTConfig(
        in_channels=4,
        out_channels=49,
        sample_size=size // 4,
        d_model=64,
        n_layers=2,
        n_heads=2,
        d_ff=96,
        cross_attention_dim=WORDS,
    )
    model = Thumbnails(ThumbnailsConfig(sample_size=size, factor=4, network=network, plan=plan))
    for weight in model.parameters():  # none of them zero, as some begin
        weight.data += 0.1 * torch.randn_like(weight)
    return model
