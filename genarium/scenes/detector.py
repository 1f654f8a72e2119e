"""A small network that says what stands where in a picture: the eyes of the checker, independent of any generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genarium.scenes.kinds import BACKGROUNDS, COLOURS, KINDS, SIZES

SIDE = 64
"""Pixels of a side of the pictures it sees."""
STRIDE = 4
"""Pixels to a cell of its maps."""
PIXELS = {"small": 16, "medium": 24, "large": 32}
"""Pixels of a side of each size of `SIZES` in them."""

SHADES = (*COLOURS, "natural")
"""Colours it tells apart; `natural` is a sprite's own where that is no single colour."""
_PARTS = (1, len(KINDS), len(SHADES), len(SIZES))


def _block(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.GroupNorm(8, after), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(_block(channels, channels), _block(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Detector(nn.Module):
    """Centres as a heat map, as in CenterNet (Zhou et al. 2019, arXiv:1904.07850), and what each cell is part of."""

    def __init__(self, width: int = 64):
        super().__init__()
        self.fine = nn.Sequential(_block(3, width // 2, 2), _block(width // 2, width, 2), Residual(width))
        self.coarse = nn.Sequential(_block(width, 2 * width, 2), Residual(2 * width))
        self.lift = nn.Conv2d(2 * width, width, 1)
        self.joined = Residual(width)
        self.head = nn.Sequential(_block(width, width + 32), nn.Conv2d(width + 32, sum(_PARTS), 1))
        self.background = nn.Linear(3 * width, len(BACKGROUNDS))
        # Few cells are centres: start by expecting none (Lin et al. 2017, arXiv:1708.02002, section 4.1).
        last = self.head[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.constant_(last.bias[:1], -3.0)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """From (batch, 3, 64, 64) in [-1, 1] to logits of heat, kinds, shades and sizes, each (batch, n, 16, 16),
        and of the background (batch, 6)."""
        fine = self.fine(images)
        coarse = self.coarse(fine)
        joined = self.joined(fine + F.interpolate(self.lift(coarse), scale_factor=2.0))
        heat, kinds, shades, sizes = self.head(joined).float().split(_PARTS, dim=1)
        pooled = torch.cat([coarse.mean((2, 3)), joined.mean((2, 3))], dim=1)
        return heat, kinds, shades, sizes, self.background(pooled).float()
