"""The conditional denoiser of latent diffusion: a U-Net whose blocks look at the words of the prompt.

Ho et al. 2020 (arXiv:2006.11239, appendix B) and Rombach et al. 2022 (arXiv:2112.10752, section 3.3). Its config,
and the names and shapes of its parameters, are those of diffusers' `UNet2DConditionModel`, of which it is the part
that Stable Diffusion 1 and 2 use.

Shapes: B batch, C channels, H and W of the latents, N = H W places, S words, D width of a word, E time embedding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.attention import attend
from genarium.models.residual import Downsample, ResidualBlock, Upsample


@dataclass(frozen=True)
class UNetConfig:
    """Everything that tells one U-Net from another. The defaults are Stable Diffusion 1's."""

    in_channels: int = 4
    out_channels: int = 4
    sample_size: int = 64  # height and width of the latents it was trained at
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)  # a level each, from full size to smallest
    attention: tuple[bool, ...] = (True, True, True, False)  # which levels look at the words
    layers_per_block: int = 2
    heads: tuple[int, ...] = (8, 8, 8, 8)  # attention heads of each level
    cross_attention_dim: int = 768  # D
    norm_num_groups: int = 32
    norm_eps: float = 1e-5
    use_linear_projection: bool = False  # Stable Diffusion 2: Linear for 1x1 convolutions around the attention
    flip_sin_to_cos: bool = True
    freq_shift: float = 0.0
    dropout: float = 0.0


def time_features(t: Tensor, width: int, *, flip_sin_to_cos: bool, freq_shift: float) -> Tensor:
    """Sines and cosines of t (B,) at frequencies from 1 down to 1/10,000 (Vaswani et al. 2017, 3.5): (B, width)."""
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=t.device)
    angles = t.float()[:, None] * torch.exp(-math.log(10_000.0) * steps / (half - freq_shift))[None]
    parts = (angles.cos(), angles.sin()) if flip_sin_to_cos else (angles.sin(), angles.cos())
    return torch.cat(parts, dim=-1)


class TimeEmbedding(nn.Module):
    def __init__(self, width: int, out: int):
        super().__init__()
        self.linear_1 = nn.Linear(width, out)
        self.linear_2 = nn.Linear(out, out)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear_2(F.silu(self.linear_1(features)))


class Attention(nn.Module):
    """Places (B, N, C) look at `source` (B, S, D): at themselves, or at the words of the prompt."""

    def __init__(self, width: int, source_width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(source_width, width, bias=False)
        self.to_v = nn.Linear(source_width, width, bias=False)
        self.to_out = nn.Linear(width, width)

    def forward(self, x: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
        B, N, C = x.shape
        q, k, v = (
            part.view(B, part.shape[1], self.heads, -1).transpose(1, 2)
            for part in (self.to_q(x), self.to_k(source), self.to_v(source))
        )
        y = attend(q, k, v, mask)
        return self.to_out(y.transpose(1, 2).reshape(B, N, C))


class GatedMLP(nn.Module):
    """up * gelu(gate), then down (GEGLU, Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, width: int):
        super().__init__()
        self.up_gate = nn.Linear(width, 8 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        up, gate = self.up_gate(x).chunk(2, dim=-1)
        return self.down(up * F.gelu(gate))


class TransformerBlock(nn.Module):
    """Self-attention, attention to the words, MLP; each added to what comes in, each after a LayerNorm.

    Places are (P, N, C), words (B, S, D): P is B, or B times the frames of a clip, which share their words.
    """

    def __init__(self, width: int, words_width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = Attention(width, width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.attn2 = Attention(width, words_width, heads)
        self.norm3 = nn.LayerNorm(width)
        self.ff = GatedMLP(width)

    def forward(self, x: Tensor, words: Tensor, mask: Tensor | None) -> Tensor:
        inner = self.norm1(x)
        x = x + self.attn1(inner, inner)
        asking = self.norm2(x).view(len(words), -1, x.shape[-1])
        x = x + self.attn2(asking, words, mask).view_as(x)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """(B, C, H, W) as N places through a Transformer block, and back (Rombach et al. 2022, appendix E.2.1)."""

    def __init__(self, config: UNetConfig, width: int, heads: int):
        super().__init__()
        self.linear = config.use_linear_projection
        self.norm = nn.GroupNorm(config.norm_num_groups, width, eps=1e-6)
        self.proj_in = nn.Linear(width, width) if self.linear else nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(width, config.cross_attention_dim, heads)])
        self.proj_out = nn.Linear(width, width) if self.linear else nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, words: Tensor, mask: Tensor | None) -> Tensor:
        B, C, H, W = x.shape
        h = self.norm(x)
        h = h if self.linear else self.proj_in(h)
        h = h.permute(0, 2, 3, 1).reshape(B, H * W, C)
        h = self.proj_in(h) if self.linear else h
        for block in self.transformer_blocks:
            h = block(h, words, mask)
        h = self.proj_out(h) if self.linear else h
        h = h.view(B, H, W, C).permute(0, 3, 1, 2)
        return x + (h if self.linear else self.proj_out(h))


def _block(config: UNetConfig, before: int, after: int) -> ResidualBlock:
    return ResidualBlock(
        before,
        after,
        groups=config.norm_num_groups,
        eps=config.norm_eps,
        time_width=4 * config.block_out_channels[0],
        dropout=config.dropout,
    )


class Level(nn.Module):
    """Blocks at one size, on the way down or up: residual, then attention where the level has it."""

    def __init__(self, config: UNetConfig, level: int, widths: Sequence[tuple[int, int]]):
        super().__init__()
        self.resnets = nn.ModuleList(_block(config, before, after) for before, after in widths)
        if config.attention[level]:
            self.attentions = nn.ModuleList(
                SpatialTransformer(config, after, config.heads[level]) for _, after in widths
            )
        self.has_attention = config.attention[level]

    def block(self, number: int, x: Tensor, time: Tensor, words: Tensor, mask: Tensor | None) -> Tensor:
        x = self.resnets[number](x, time)
        return self.attentions[number](x, words, mask) if self.has_attention else x


class DownLevel(Level):
    def __init__(self, config: UNetConfig, level: int):
        widths = config.block_out_channels
        after = widths[level]
        first = widths[max(0, level - 1)]
        super().__init__(config, level, [(first, after)] + [(after, after)] * (config.layers_per_block - 1))
        if level < len(widths) - 1:
            self.downsamplers = nn.ModuleList([Downsample(after)])
        self.is_last = level == len(widths) - 1

    def forward(self, x: Tensor, time: Tensor, words: Tensor, mask: Tensor | None) -> list[Tensor]:
        """What each block gives, and the halved one for the next level."""
        given = []
        for number in range(len(self.resnets)):
            x = self.block(number, x, time, words, mask)
            given.append(x)
        return given if self.is_last else [*given, self.downsamplers[0](x)]


class MiddleLevel(nn.Module):
    def __init__(self, config: UNetConfig):
        super().__init__()
        width = config.block_out_channels[-1]
        self.resnets = nn.ModuleList(_block(config, width, width) for _ in range(2))
        self.attentions = nn.ModuleList([SpatialTransformer(config, width, config.heads[-1])])

    def forward(self, x: Tensor, time: Tensor, words: Tensor, mask: Tensor | None) -> Tensor:
        x = self.attentions[0](self.resnets[0](x, time), words, mask)
        return self.resnets[1](x, time)


class UpLevel(Level):
    """Each block also reads, beside what comes from below, what the way down gave at this size (Ronneberger 2015)."""

    def __init__(self, config: UNetConfig, level: int):
        widths = config.block_out_channels
        after, below = widths[level], widths[min(level + 1, len(widths) - 1)]
        skipped = [after] * config.layers_per_block + [widths[max(0, level - 1)]]
        came = [below] + [after] * config.layers_per_block
        super().__init__(config, level, [(c + s, after) for c, s in zip(came, skipped, strict=True)])
        if level > 0:
            self.upsamplers = nn.ModuleList([Upsample(after)])
        self.is_last = level == 0

    def forward(self, x: Tensor, skips: list[Tensor], time: Tensor, words: Tensor, mask: Tensor | None) -> Tensor:
        for number in range(len(self.resnets)):
            x = self.block(number, torch.cat((x, skips.pop()), dim=1), time, words, mask)
        return x if self.is_last else self.upsamplers[0](x, size=(skips[-1].shape[2], skips[-1].shape[3]))


class UNet(nn.Module):
    """Noisy latents (B, in_channels, H, W), times t (B,), words (B, S, D) to a prediction (B, out_channels, H, W)."""

    def __init__(self, config: UNetConfig):
        super().__init__()
        self.config = config
        widths = config.block_out_channels
        self.conv_in = nn.Conv2d(config.in_channels, widths[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(widths[0], 4 * widths[0])
        self.down_blocks = nn.ModuleList(DownLevel(config, level) for level in range(len(widths)))
        self.mid_block = MiddleLevel(config)
        self.up_blocks = nn.ModuleList(UpLevel(config, level) for level in reversed(range(len(widths))))
        self.conv_norm_out = nn.GroupNorm(config.norm_num_groups, widths[0], eps=config.norm_eps)
        self.conv_out = nn.Conv2d(widths[0], config.out_channels, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor, words: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask` (B, S) is true at real words; None where all are."""
        c = self.config
        looked_at = None if mask is None else mask[:, None, None, :]
        features = time_features(t, c.block_out_channels[0], flip_sin_to_cos=c.flip_sin_to_cos, freq_shift=c.freq_shift)
        time = self.time_embedding(features.to(x.dtype))
        x = self.conv_in(x)
        skips = [x]
        for down in self.down_blocks:
            given = down(x, time, words, looked_at)
            skips += given
            x = given[-1]
        x = self.mid_block(x, time, words, looked_at)
        for up in self.up_blocks:
            x = up(x, skips, time, words, looked_at)
        return self.conv_out(F.silu(self.conv_norm_out(x)))
