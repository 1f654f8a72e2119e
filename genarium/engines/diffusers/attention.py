"""Attention of diffusers' denoisers on a CPU in bfloat16: a few rows of queries at a time.

torch's fused attention computes in float32 inside, whatever comes in; two bfloat16 products with a softmax between
are a quarter faster where the keys are many (figures in docs/images.md), and in slices of ROWS queries they take no
more memory: ROWS times the number of keys, for one head.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor, nn

from genarium.engines.vision.word_maps import Attribution

ROWS = 1024
MANY_KEYS = 512
"""From so many keys on it is faster than the fused kernel; prompts (77) are below."""


class SlicedAttention(AttnProcessor2_0):  # type: ignore[misc]
    """In place of the library's own processor: the same sums for plain self-attention, all else left to it."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        plain = (
            encoder_hidden_states is None
            and attention_mask is None
            and hidden_states.ndim == 3
            and hidden_states.shape[1] >= MANY_KEYS
            and all(getattr(attn, name, None) is None for name in ("group_norm", "spatial_norm", "norm_q", "norm_k"))
            and not attn.residual_connection
            and attn.rescale_output_factor == 1
        )
        if not plain:
            return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, temb, *args, **kwargs)  # type: ignore[no-any-return]
        q, k, v = (_heads(project(hidden_states), attn.heads) for project in (attn.to_q, attn.to_k, attn.to_v))
        mixed = attend(q, k, v).transpose(1, 2).flatten(2)
        for layer in attn.to_out:
            mixed = layer(mixed)
        return mixed


class WatchedAttention:
    """Around a layer's own processor, whose output it leaves as it is: the weights go to `looked` beside it."""

    def __init__(self, own: Any, layer: int, looked: Attribution):
        self.own, self.layer, self.looked = own, layer, looked

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        # The prompt's own row, after the negative prompt's: (1, places, C) and (1, words, D).
        assert encoder_hidden_states is not None
        projected = attn.to_q(hidden_states[-1:]), attn.to_k(encoder_hidden_states[-1:])
        q, k = (_heads(part.float(), attn.heads) for part in projected)
        self.looked.add(self.layer, (q @ k.transpose(-2, -1) * attn.scale).softmax(-1))
        out: Tensor = self.own(attn, hidden_states, encoder_hidden_states, attention_mask, *args, **kwargs)
        return out


@contextmanager
def watched(network: Any, looked: Attribution) -> Iterator[int]:
    """Inside the block, `looked` is told what the U-Net's places look at among the words; gives how many layers do."""
    own = dict(network.attn_processors)
    names = [name for name in own if name.endswith("attn2.processor")]
    modules = dict(network.named_modules())
    layers = [modules[name.removesuffix(".processor")] for name in names]
    for layer, module in enumerate(layers):
        module.processor = WatchedAttention(module.processor, layer, looked)
    try:
        yield len(layers)
    finally:
        for module in layers:
            module.processor = module.processor.own


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q kᵀ / sqrt(d)) v of (B, H, T, d) tensors, ROWS queries of one head at a time."""
    B, H, T, d = q.shape
    out = torch.empty_like(q)
    for batch in range(B):
        for head in range(H):
            queries, keys, values = q[batch, head] * d**-0.5, k[batch, head].T, v[batch, head]
            for first in range(0, T, ROWS):
                scores = torch.mm(queries[first : first + ROWS], keys)
                out[batch, head, first : first + ROWS] = torch.mm(scores.softmax(-1), values)
    return out


def use_sliced(network: nn.Module) -> None:
    """Give every plain attention layer of the network the processor above."""
    for module in network.modules():
        if type(getattr(module, "processor", None)) is AttnProcessor2_0:
            module.processor = SlicedAttention()


def _heads(x: Tensor, heads: int) -> Tensor:
    """(B, T, H·d) to (B, H, T, d), contiguous."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2).contiguous()
