"""Convolutional blocks that the U-Net and the autoencoder are built of; parameters carry diffusers' names.

Shapes: B batch, C channels, H and W height and width, E width of the time embedding.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm x)) + time))) (He et al. 2016; with time as in Ho et al. 2020, appendix B).

    (B, in_channels, H, W) -> (B, out_channels, H, W); `time` is (B, E), or None where the block has no `time_width`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        groups: int,
        eps: float,
        time_width: int = 0,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, in_channels, eps=eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        if time_width:
            self.time_emb_proj = nn.Linear(time_width, out_channels)
        self.norm2 = nn.GroupNorm(groups, out_channels, eps=eps)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        if time is not None:
            h = h + self.time_emb_proj(F.silu(time))[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return self.conv_shortcut(x) + h


class Downsample(nn.Module):
    """Half the height and width by a convolution of stride 2; the autoencoder pads right and below only."""

    def __init__(self, channels: int, *, lopsided: bool = False):
        super().__init__()
        self.lopsided = lopsided
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=0 if lopsided else 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)) if self.lopsided else x)


class Upsample(nn.Module):
    """Twice the height and width by repeating pixels, then a convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """To `size` (H, W) where given: a level whose height or width was odd."""
        up = F.interpolate(x, size=size) if size is not None else F.interpolate(x, scale_factor=2.0)
        return self.conv(up)
