"""From the states of a text's tokens to one vector: pooling, and the layers that may follow it.

Sentence-BERT (Reimers and Gurevych 2019, arXiv:1908.10084, section 3) compared the first token, the mean and the
maximum; the mean weighted by position is SGPT's (Muennighoff 2022, arXiv:2202.08904, eq. 2).

Shapes: B texts, T tokens, C width of the encoder, D width of the vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.encoder import mean_pool
from genarium.models.sentence_config import POOLINGS, Pooling


class Normalize(nn.Module):
    """Vectors (B, D) at length 1."""

    def forward(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors, dim=-1)


class Dense(nn.Module):
    """A linear layer and an activation."""

    def __init__(self, d_in: int, d_out: int, *, bias: bool, activation: nn.Module):
        super().__init__()
        self.linear = nn.Linear(d_in, d_out, bias=bias)
        self.activation = activation

    def forward(self, vectors: Tensor) -> Tensor:
        return self.activation(self.linear(vectors))


class LayerNorm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.norm(vectors)


class SentenceHead(nn.Module):
    """States (B, T, C) of an encoder to vectors (B, D): each of `poolings` end to end, then `layers` in order."""

    def __init__(self, poolings: Sequence[Pooling] = ("mean",), layers: Sequence[nn.Module] = ()):
        super().__init__()
        self.poolings = tuple(mode for mode in POOLINGS if mode in poolings)
        self.layers = nn.ModuleList(layers)

    def forward(self, hidden: Tensor, lengths: Tensor | None = None, skip: Tensor | None = None) -> Tensor:
        vectors = self.pool(hidden, lengths, skip)
        for layer in self.layers:
            vectors = layer(vectors)
        return vectors

    def pool(self, hidden: Tensor, lengths: Tensor | None = None, skip: Tensor | None = None) -> Tensor:
        """The poolings alone, (B, len(poolings) * C), over each row's first `lengths` (B,) tokens.

        The first `skip` (B,) of them are left out; but the first one (`cls`) is itself whatever is left out.
        """
        return torch.cat([_pooled(mode, hidden, lengths, skip) for mode in self.poolings], dim=-1)


def _pooled(mode: Pooling, hidden: Tensor, lengths: Tensor | None, skip: Tensor | None) -> Tensor:
    if mode == "cls":
        return hidden[:, 0]
    if mode == "mean" and skip is None:
        return mean_pool(hidden, lengths)
    B, T, _ = hidden.shape
    columns = torch.arange(T, device=hidden.device)
    begins = torch.zeros(B, dtype=torch.long, device=hidden.device) if skip is None else skip
    ends = torch.full((B,), T, device=hidden.device) if lengths is None else lengths
    real = (columns < ends[:, None]) & (columns >= begins[:, None])
    if mode == "max":
        return hidden.masked_fill(~real[..., None], -1e9).amax(dim=1)
    if mode == "lasttoken":
        last = hidden[torch.arange(B, device=hidden.device), ends - 1]
        return last * (ends > begins)[:, None]
    weights = real.to(hidden.dtype)
    if mode == "weightedmean":
        weights = weights * (columns + 1)
    total = weights.sum(dim=1, keepdim=True).clamp(min=1e-9)
    summed = (hidden * weights[..., None]).sum(dim=1)
    return summed / (total.sqrt() if mode == "mean_sqrt_len_tokens" else total)
