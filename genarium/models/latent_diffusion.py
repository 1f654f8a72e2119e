"""Latent diffusion (Rombach et al. 2022, arXiv:2112.10752): a U-Net denoises what an autoencoder makes of images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Generator, Tensor, nn

from genarium.models.text_to_image import WORK_COPIES, Conditioning
from genarium.models.unet import UNet, UNetConfig
from genarium.models.vae import Autoencoder, AutoencoderConfig


@dataclass(frozen=True)
class LatentDiffusionConfig:
    unet: UNetConfig
    autoencoder: AutoencoderConfig
    enlarges = False

    @property
    def sample_size(self) -> int:
        return self.autoencoder.sample_size

    @property
    def factor(self) -> int:
        return self.autoencoder.factor

    @property
    def latent_channels(self) -> int:
        return self.autoencoder.latent_channels

    @property
    def cross_attention_dim(self) -> int:
        return self.unet.cross_attention_dim

    def working_memory(self, width: int, height: int, context: int) -> int:
        return width * height * self.autoencoder.block_out_channels[0] * 4 * WORK_COPIES


class LatentDiffusion:
    """A `TextToImage` of two networks."""

    kind = "UNet2DConditionModel"

    def __init__(self, denoiser: UNet, autoencoder: Autoencoder):
        self.denoiser, self.autoencoder = denoiser, autoencoder

    @property
    def config(self) -> LatentDiffusionConfig:
        return LatentDiffusionConfig(self.denoiser.config, self.autoencoder.config)

    def to_latents(self, images: Tensor) -> Tensor:
        return self.autoencoder.to_latents(images)

    def from_latents(self, latents: Tensor, conditioning: Conditioning) -> Tensor:
        return self.autoencoder.from_latents(latents)

    def planned(
        self, asked: Conditioning, negative: Conditioning, generator: Generator
    ) -> tuple[Conditioning, Conditioning]:
        return asked, negative

    def looks(self, places: int) -> tuple[list[nn.Module], Callable[[Tensor], Tensor]]:
        layers = [layer for name, layer in self.denoiser.named_modules() if name.endswith("attn2")]
        return layers, lambda weights: weights
