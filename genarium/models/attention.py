"""Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762, eq. 1), as every network here computes it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


class KeysAndValues:
    """Keys and values of what was read so far, in one block per layer: (layers, B, K, capacity, D)."""

    def __init__(self, shape: Sequence[int], *, dtype: torch.dtype, device: torch.device):
        self.keys = torch.zeros(tuple(shape), dtype=dtype, device=device)
        self.values = torch.zeros(tuple(shape), dtype=dtype, device=device)
        self.length = 0

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store (B, K, T, D) behind what is there; return all of it, (B, K, S, D)."""
        end = self.length + keys.shape[2]
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def select(self, rows: Tensor) -> None:
        """Keep (or repeat) these rows of the batch, in this order."""
        self.keys = self.keys[:, rows]
        self.values = self.values[:, rows]


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False) -> Tensor:
    """softmax(q kᵀ / √D) v: q (B, H, T, D), k and v (B, K, S, D), where K divides H; returns (B, H, T, D).

    `mask` (broadcast to (B, H, T, S)) is true where a query may look. On a CPU what is to be trained attends in
    float32, whatever the rest is computed in: torch's backward in bfloat16 is slow there without AMX (a batch
    of 12 x 64 tokens at 4 heads of 32: 4.7 against 1.7 ms forward and back; 32 texts of 25 tokens: 27 against 7).
    """
    grouped = k.shape[1] != q.shape[1]
    if q.device.type != "cpu" or q.dtype != torch.bfloat16 or not q.requires_grad:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=grouped)
    with torch.autocast("cpu", enabled=False):
        y = F.scaled_dot_product_attention(
            q.float(), k.float(), v.float(), attn_mask=mask, is_causal=causal, enable_gqa=grouped
        )
        return y.to(q.dtype)
