"""Variational autoencoders: of pictures as one vector, and of pictures as small maps for latent diffusion.

`VAE` is the one of Kingma and Welling 2013 (arXiv:1312.6114). `Autoencoder` is the spatial one of Rombach et al. 2022
(arXiv:2112.10752, section 3.1); its config, and the names and shapes of its parameters, are those of diffusers'
`AutoencoderKL`.

Shapes: B batch, H and W of the picture, f = 2^(levels - 1), Z latent channels or width of the latent vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.attention import attend
from genarium.models.residual import Downsample, ResidualBlock, Upsample


@dataclass(frozen=True)
class Gaussian:
    """A diagonal normal distribution, the encoder's answer: `mean` and `log_variance` of the same shape."""

    mean: Tensor
    log_variance: Tensor

    @classmethod
    def of(cls, moments: Tensor) -> Gaussian:
        """From means and log variances one after the other in dimension 1; variances are kept within e^±30."""
        mean, log_variance = moments.chunk(2, dim=1)
        return cls(mean, log_variance.clamp(-30.0, 20.0))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype, device=self.mean.device)
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def divergence(self) -> Tensor:
        """KL from the standard normal, summed over all but the batch: (B,) nats (Kingma and Welling, appendix B)."""
        each = self.mean**2 + self.log_variance.exp() - 1.0 - self.log_variance
        return 0.5 * each.flatten(1).sum(dim=1)


@dataclass(frozen=True)
class VAEConfig:
    """A convolutional VAE of square pictures; `size` is divisible by 2^len(widths)."""

    channels: int = 3
    size: int = 32
    widths: tuple[int, ...] = (32, 64, 128)
    latent: int = 32


class VAE(nn.Module):
    """Pictures (B, channels, size, size) in [-1, 1] through a vector (B, latent)."""

    draws_noise = True  # decoded, noise of that length is a picture

    def __init__(self, config: VAEConfig):
        super().__init__()
        self.config = config
        widths = config.widths
        self.smallest = config.size >> len(widths)
        flat = widths[-1] * self.smallest**2
        down: list[nn.Module] = []
        for before, after in zip((config.channels, *widths), widths, strict=False):
            down += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, 2 * config.latent))
        up: list[nn.Module] = [
            nn.Linear(config.latent, flat),
            nn.Unflatten(1, (widths[-1], self.smallest, self.smallest)),
        ]
        for before, after in zip(widths[:0:-1], widths[-2::-1], strict=True):
            up += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
        up += [nn.ConvTranspose2d(widths[0], config.channels, 4, stride=2, padding=1)]
        self.decoder = nn.Sequential(*up)

    def encode(self, images: Tensor) -> Gaussian:
        return Gaussian.of(self.encoder(images))

    def decode(self, latents: Tensor) -> Tensor:
        """(B, latent) to (B, channels, size, size), not clipped."""
        return self.decoder(latents)


@dataclass(frozen=True)
class AutoencoderConfig:
    """Everything that tells one autoencoder from another. The defaults are Stable Diffusion 1's."""

    in_channels: int = 3
    out_channels: int = 3
    latent_channels: int = 4
    block_out_channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    norm_num_groups: int = 32
    mid_block_attention: bool = True
    sample_size: int = 512
    scaling_factor: float = 0.18215  # latents times this have a variance of about one
    shift_factor: float = 0.0  # and this is taken off them before
    quant_conv: bool = True  # a 1x1 convolution after the encoder, and one before the decoder

    @property
    def factor(self) -> int:
        """f, pixels of the picture to one place of the latents, each way."""
        return 2 ** (len(self.block_out_channels) - 1)


class SelfAttention(nn.Module):
    """Every place attends to every place, one head, added to what comes in: (B, C, H, W)."""

    def __init__(self, width: int, groups: int):
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, width, eps=1e-6)
        self.to_q = nn.Linear(width, width)
        self.to_k = nn.Linear(width, width)
        self.to_v = nn.Linear(width, width)
        self.to_out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        B, C, H, W = x.shape
        places = self.group_norm(x).permute(0, 2, 3, 1).reshape(B, 1, H * W, C)
        y = self.to_out(attend(self.to_q(places), self.to_k(places), self.to_v(places)))
        return x + y.reshape(B, H, W, C).permute(0, 3, 1, 2)


def _block(before: int, after: int, config: AutoencoderConfig) -> ResidualBlock:
    return ResidualBlock(before, after, groups=config.norm_num_groups, eps=1e-6)


class Middle(nn.Module):
    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        width = config.block_out_channels[-1]
        self.resnets = nn.ModuleList(_block(width, width, config) for _ in range(2))
        self.attentions = nn.ModuleList(
            [SelfAttention(width, config.norm_num_groups)] if config.mid_block_attention else []
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.resnets[0](x)
        for attention in self.attentions:
            x = attention(x)
        return self.resnets[1](x)


class Level(nn.Module):
    """Residual blocks at one size, then half or twice that size where `change` is "down" or "up"."""

    def __init__(self, config: AutoencoderConfig, before: int, after: int, n_blocks: int, change: str):
        super().__init__()
        self.resnets = nn.ModuleList(_block(before if i == 0 else after, after, config) for i in range(n_blocks))
        if change == "down":
            self.downsamplers = nn.ModuleList([Downsample(after, lopsided=True)])
        elif change == "up":
            self.upsamplers = nn.ModuleList([Upsample(after)])
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        for block in self.resnets:
            x = block(x)
        if self.change == "down":
            return self.downsamplers[0](x)
        return self.upsamplers[0](x) if self.change == "up" else x


class VAEEncoder(nn.Module):
    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        widths = config.block_out_channels
        self.conv_in = nn.Conv2d(config.in_channels, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            Level(config, before, after, config.layers_per_block, "" if i == len(widths) - 1 else "down")
            for i, (before, after) in enumerate(zip((widths[0], *widths), widths, strict=False))
        )
        self.mid_block = Middle(config)
        self.conv_norm_out = nn.GroupNorm(config.norm_num_groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], 2 * config.latent_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for level in self.down_blocks:
            x = level(x)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))


class VAEDecoder(nn.Module):
    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        widths = config.block_out_channels[::-1]
        self.conv_in = nn.Conv2d(config.latent_channels, widths[0], 3, padding=1)
        self.mid_block = Middle(config)
        self.up_blocks = nn.ModuleList(
            Level(config, before, after, config.layers_per_block + 1, "" if i == len(widths) - 1 else "up")
            for i, (before, after) in enumerate(zip((widths[0], *widths), widths, strict=False))
        )
        self.conv_norm_out = nn.GroupNorm(config.norm_num_groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], config.out_channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(z))
        for level in self.up_blocks:
            x = level(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class Autoencoder(nn.Module):
    """Pictures (B, 3, H, W) in [-1, 1] to latents (B, Z, H/f, W/f) and back."""

    draws_noise = False  # noise takes a denoiser to become latents

    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        self.config = config
        self.encoder = VAEEncoder(config)
        self.decoder = VAEDecoder(config)
        if config.quant_conv:
            self.quant_conv = nn.Conv2d(2 * config.latent_channels, 2 * config.latent_channels, 1)
            self.post_quant_conv = nn.Conv2d(config.latent_channels, config.latent_channels, 1)

    @property
    def factor(self) -> int:
        """f, pixels of the picture to one place of the latents, each way."""
        return self.config.factor

    def encode(self, images: Tensor) -> Gaussian:
        moments = self.encoder(images)
        return Gaussian.of(self.quant_conv(moments) if self.config.quant_conv else moments)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents as `encode` gives them, not scaled; the picture is not clipped."""
        return self.decoder(self.post_quant_conv(latents) if self.config.quant_conv else latents)

    def freeze_encoder(self) -> None:
        """Only the decoder learns: latents stay what they are."""
        self.encoder.requires_grad_(False)
        if self.config.quant_conv:
            self.quant_conv.requires_grad_(False)

    def to_latents(self, images: Tensor) -> Tensor:
        """Their means, brought to a mean of about zero and a variance of about one, as the denoiser sees them."""
        return (self.encode(images).mean.float() - self.config.shift_factor) * self.config.scaling_factor

    def from_latents(self, latents: Tensor) -> Tensor:
        """The picture, not clipped, of latents as `to_latents` gives them."""
        return self.decode(latents / self.config.scaling_factor + self.config.shift_factor)
