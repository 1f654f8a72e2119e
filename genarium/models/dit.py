"""A diffusion Transformer (Peebles and Xie 2022, arXiv:2212.09748) that reads cells and words as one sequence.

As in the single-stream blocks of FLUX.1 (Black Forest Labs 2024) words and cells attend to each other and share all
matrices. The noise level shifts and scales every block through one small network and a table of each block's own
(PixArt-α, Chen et al. 2023, arXiv:2310.00426, section 2.3). Cells know where they are by rotary positions along both
axes (Su et al. 2021, arXiv:2104.09864; Heo et al. 2024, arXiv:2403.13298); queries and keys are normalised (Dehghani et
al. 2023, arXiv:2302.05442), MLPs are gated by SiLU (Shazeer 2020, arXiv:2002.05202).

Shapes: B batch, C channels, H and W of the map, N = H W cells, S words, T = N + S tokens, M model width, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.attention import attend
from genarium.models.unet import TimeEmbedding, time_features

LONGEST_WAVE = 30.0
"""Ratio of the slowest to the fastest rotation: maps are small, so that positions far apart are few."""
FASTEST = 1.5
"""Radians from a cell to the next at the fastest rotation."""


@dataclass(frozen=True)
class DiTConfig:
    """Everything that tells one of these networks from another."""

    in_channels: int = 3
    out_channels: int = 3
    sample_size: int = 8  # height and width of the maps it was trained at
    d_model: int = 256  # M
    n_layers: int = 6
    n_heads: int = 4
    d_ff: int = 672
    cross_attention_dim: int = 384  # width of a word


def rotary_map(height: int, width: int, head_width: int, words: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T, D / 2): half the pairs turn with the row, half with the column; words don't turn."""
    pairs = head_width // 4
    speed = FASTEST * LONGEST_WAVE ** (-torch.arange(pairs) / pairs)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    angles = torch.cat((rows.flatten()[:, None] * speed, columns.flatten()[:, None] * speed), dim=1)
    angles = torch.cat((angles, torch.zeros(words, 2 * pairs)))
    return angles.cos(), angles.sin()


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (B, heads, T, D) with the first half of each head turned against the second."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


def normed(x: Tensor) -> Tensor:
    """RMSNorm without weights (Zhang and Sennrich 2019, arXiv:1910.07467)."""
    return F.rms_norm(x, (x.shape[-1],), eps=1e-6)


class DiTBlock(nn.Module):
    """Attention, then a gated MLP; each is modulated, gated by the level and added to what came in."""

    def __init__(self, config: DiTConfig):
        super().__init__()
        M, D = config.d_model, config.d_model // config.n_heads
        self.n_heads = config.n_heads
        self.qkv = nn.Linear(M, 3 * M, bias=False)
        self.q_scale = nn.Parameter(torch.ones(D))
        self.k_scale = nn.Parameter(torch.ones(D))
        self.out = nn.Linear(M, M, bias=False)
        self.up_gate = nn.Linear(M, 2 * config.d_ff, bias=False)
        self.down = nn.Linear(config.d_ff, M, bias=False)
        self.table = nn.Parameter(torch.zeros(6 * M))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor, level: Tensor, turns: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """x (B, T, M), level (B, 6, M)."""
        B, T, M = x.shape
        scale1, shift1, gate1, scale2, shift2, gate2 = (level + self.table.view(6, M).to(level.dtype))[
            :, :, None
        ].unbind(1)
        y = normed(x) * (1 + scale1) + shift1
        q, k, v = self.qkv(y).view(B, T, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        q = turn(normed(q) * self.q_scale.to(q.dtype), *turns)
        k = turn(normed(k) * self.k_scale.to(k.dtype), *turns)
        y = attend(q, k, v, mask).transpose(1, 2).reshape(B, T, M)
        x = x + (1 + gate1) * self.out(y)
        up, gate = self.up_gate(normed(x) * (1 + scale2) + shift2).chunk(2, dim=-1)
        return x + (1 + gate2) * self.down(F.silu(gate) * up)


class DiT(nn.Module):
    """Maps (B, in_channels, H, W), levels t (B,), words (B, S, cross_attention_dim) to (B, out_channels, H, W)."""

    def __init__(self, config: DiTConfig):
        super().__init__()
        self.config = config
        M = config.d_model
        self.cell_embedding = nn.Linear(config.in_channels, M)
        self.word_embedding = nn.Linear(config.cross_attention_dim, M)
        self.time_embedding = TimeEmbedding(M, M)
        self.level_embedding = nn.Linear(M, 6 * M)
        self.blocks = nn.ModuleList(DiTBlock(config) for _ in range(config.n_layers))
        self.head = nn.Linear(M, config.out_channels)
        for last in (self.level_embedding, self.head):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(
        self, x: Tensor, t: Tensor, words: Tensor, mask: Tensor | None = None, told: Tensor | None = None
    ) -> Tensor:
        """`mask` (B, S) is true at real words, None where all are; `told` (B, N, M) is added to the cells."""
        B, _, H, W = x.shape
        c = self.config
        cells = self.cell_embedding(x.flatten(2).transpose(1, 2))
        if told is not None:
            cells = cells + told
        features = time_features(t, c.d_model, flip_sin_to_cos=True, freq_shift=0.0)
        level = self.level_embedding(F.silu(self.time_embedding(features.to(cells.dtype)))).view(B, 6, c.d_model)
        h = torch.cat((cells, self.word_embedding(words.to(cells.dtype))), dim=1)
        turns = rotary_map(H, W, c.d_model // c.n_heads, words.shape[1])
        cos, sin = (part.to(h.device, h.dtype) for part in turns)
        looked_at = None
        if mask is not None:
            looked_at = torch.cat((mask.new_ones(B, H * W), mask), dim=1)[:, None, None, :]
        for block in self.blocks:
            h = block(h, level, (cos, sin), looked_at)
        y = self.head(normed(h[:, : H * W]))
        return y.transpose(1, 2).reshape(B, c.out_channels, H, W)
