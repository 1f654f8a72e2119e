"""Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762, eq. 1), as every network here computes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar, Token

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class KeysAndValues:
    """Keys and values of what was read so far, in one block per layer: (layers, B, K, capacity, D)."""

    def __init__(self, shape: Sequence[int], *, dtype: torch.dtype, device: torch.device):
        self.keys = torch.zeros(tuple(shape), dtype=dtype, device=device)
        self.values = torch.zeros(tuple(shape), dtype=dtype, device=device)
        self.length = 0

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store (B, K, T, D) after what is there; return all of it, (B, K, S, D)."""
        end = self.length + keys.shape[2]
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def select(self, rows: Sequence[int]) -> None:
        """Keep (or repeat) these rows of the batch, in this order."""
        self.keys = self.keys[:, list(rows)]
        self.values = self.values[:, list(rows)]


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False) -> Tensor:
    """softmax(q kᵀ / √D) v: q (B, H, T, D), k and v (B, K, S, D), where K divides H; returns (B, H, T, D).

    `mask` (broadcast to (B, H, T, S)) is true where a query may look. On a CPU what is to be trained attends in
    float32, whatever the rest is computed in: torch's backward in bfloat16 is slow there without AMX (a batch
    of 12 x 64 tokens at 4 heads of 32: 4.7 against 1.7 ms forward and back; 32 texts of 25 tokens: 27 against 7).
    """
    if (tell := _told.get()) is not None:
        return _attend_openly(q, k, v, mask, causal, tell)
    grouped = k.shape[1] != q.shape[1]
    if q.device.type != "cpu" or q.dtype != torch.bfloat16 or not q.requires_grad:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=grouped)
    with torch.autocast("cpu", enabled=False):
        y = F.scaled_dot_product_attention(
            q.float(), k.float(), v.float(), attn_mask=mask, is_causal=causal, enable_gqa=grouped
        )
        return y.to(q.dtype)


Tell = Callable[[Tensor], None]
_told: ContextVar[Tell | None] = ContextVar("genarium_attention_told", default=None)


@contextmanager
def watching(modules: Iterable[nn.Module], tell: Callable[[int, Tensor], None]) -> Iterator[None]:
    """Inside the block, `tell(place, weights)` gets the softmax (B, H, T, S) of every `attend` in `modules[place]`.

    Where gradients are recorded, the output is computed from these weights, so that it can be derived by them;
    elsewhere they are computed beside it, and no output changes.
    """
    with ExitStack() as hooks:
        for place, module in enumerate(modules):
            entered: list[Token[Tell | None]] = []

            def enter(*_: object, place: int = place, entered: list[Token[Tell | None]] = entered) -> None:
                entered.append(_told.set(lambda weights: tell(place, weights)))

            def leave(*_: object, entered: list[Token[Tell | None]] = entered) -> None:
                _told.reset(entered.pop())

            hooks.callback(module.register_forward_pre_hook(enter).remove)
            hooks.callback(module.register_forward_hook(leave, always_call=True).remove)
        yield


def _attend_openly(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, tell: Tell) -> Tensor:
    """The same sums step by step, the weights told."""
    groups = q.shape[1] // k.shape[1]
    keys, values = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
    scores = q @ keys.transpose(-2, -1) * q.shape[-1] ** -0.5
    if causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
        mask = seen if mask is None else mask & seen
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    weights = scores.softmax(-1)
    tell(weights)
    if weights.requires_grad:
        return weights @ values
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=causal and mask is None, enable_gqa=groups > 1
    )
