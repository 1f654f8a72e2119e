"""The half of a VQGAN that paints: codes of a learned dictionary to pixels (Esser et al. 2021, arXiv:2012.09841).

Layers are named as in the authors' `taming-transformers`, which published files keep, but for `conv_shortcut`: there
it is `nin_shortcut`.
Shapes: B batch, h x w codes, C channels; a picture is 2^(levels - 1) times as high and wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.residual import ResidualBlock, Upsample


@dataclass(frozen=True)
class VQGANConfig:
    """The defaults are those of the VQGAN that DALL·E mini and mega share (f16, 16384 codes).

    `multipliers` of `channels`, one for each level, the finest first. `attends` says which levels attend.
    """

    n_codes: int = 16384
    d_code: int = 256
    channels: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    attends: tuple[bool, ...] = (False, False, False, False, True)
    n_blocks: int = 3
    n_groups: int = 32

    @property
    def scale(self) -> int:
        """Pixels a code is wide."""
        return 2 ** (len(self.multipliers) - 1)


def _block(n_in: int, n_out: int, n_groups: int) -> ResidualBlock:
    return ResidualBlock(n_in, n_out, groups=n_groups, eps=1e-5)


class AttnBlock(nn.Module):
    """Every place of a picture attends to every other, with one head."""

    def __init__(self, n: int, n_groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(n_groups, n)
        self.q = nn.Conv2d(n, n, 1)
        self.k = nn.Conv2d(n, n, 1)
        self.v = nn.Conv2d(n, n, 1)
        self.proj_out = nn.Conv2d(n, n, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        q, k, v = (part(y).flatten(2).transpose(1, 2).unsqueeze(1) for part in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(y.squeeze(1).transpose(1, 2).reshape(x.shape))


class Middle(nn.Module):
    def __init__(self, n: int, n_groups: int):
        super().__init__()
        self.block_1 = _block(n, n, n_groups)
        self.attn_1 = AttnBlock(n, n_groups)
        self.block_2 = _block(n, n, n_groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Level(nn.Module):
    def __init__(self, n_in: int, n_out: int, config: VQGANConfig, *, attends: bool, doubles: bool):
        super().__init__()
        self.block = nn.ModuleList(_block(n_out if i else n_in, n_out, config.n_groups) for i in range(config.n_blocks))
        self.attn = nn.ModuleList(AttnBlock(n_out, config.n_groups) for _ in range(config.n_blocks if attends else 0))
        self.upsample = Upsample(n_out) if doubles else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        for i, block in enumerate(self.block):
            x = block(x)
            if self.attn:
                x = self.attn[i](x)
        return self.upsample(x)


class LatentDecoder(nn.Module):
    """(B, d_code, h, w) to (B, 3, height, width), the coarsest level first."""

    def __init__(self, config: VQGANConfig):
        super().__init__()
        widths = [config.channels * multiplier for multiplier in config.multipliers]
        self.conv_in = nn.Conv2d(config.d_code, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1], config.n_groups)
        before = [*widths[1:], widths[-1]]
        self.up = nn.ModuleList(
            Level(before[i], widths[i], config, attends=config.attends[i], doubles=i > 0) for i in range(len(widths))
        )
        self.norm_out = nn.GroupNorm(config.n_groups, widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class VQGANDecoder(nn.Module):
    """Codes (B, h, w) to a picture (B, 3, height, width) in about [0, 1], as DALL·E mini's VQGAN was trained."""

    def __init__(self, config: VQGANConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.n_codes, config.d_code)
        self.post_quant_conv = nn.Conv2d(config.d_code, config.d_code, 1)
        self.decoder = LatentDecoder(config)

    def forward(self, codes: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(self.embedding(codes).permute(0, 3, 1, 2)))
