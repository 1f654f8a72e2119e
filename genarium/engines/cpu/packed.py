"""An encoder laid out for reading on a CPU: texts end to end without padding, weights packed, matrices in bfloat16.

Three things make it faster than the same network in its plain form, and none of them trains:

- Weights are reordered once for oneDNN, as torch.compile's freezing does, with the activation fused into the product.
- In bfloat16 only the products are in bfloat16. What runs through the network from layer to layer, the norms and the
  sums, stays in float32: as fast, and three times closer to float32 than a network cast as a whole (0.3% of the
  spread of a reader's scores instead of 1%; figures in `docs/answering.md`).
- Texts of different lengths lie after each other in one row, so that no position is padding. Attention is each
  text's own.

Shapes: N tokens of all texts together, C model width, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.devices import cpu_bfloat16
from genarium.engines.cpu.upcast import linear
from genarium.models.encoder import Encoder, EncoderBlock

PACKED_ROWS = 128  # what oneDNN chooses a layout for; it holds for more and for fewer
LONG = 128  # tokens from which batched products beat torch's fused attention in bfloat16 on a CPU

# The encoder's activation -> oneDNN's name of it and of the way it is computed.
FUSED = {None: ("none", ""), "relu": ("relu", ""), "gelu": ("gelu", "none"), "gelu_tanh": ("gelu", "tanh")}


class PackedLinear:
    """The same map as an `nn.Linear` with an activation after it, (N, in) of any type to (N, out) in `dtype`."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype, activation: str | None = None):
        self.dtype, self.activation = dtype, activation
        self.weight, self.bias = linear.weight.detach().to(dtype), linear.bias.detach().to(dtype)
        on_cpu = self.weight.device.type == "cpu"
        self.raised = on_cpu and dtype == torch.bfloat16 and cpu_bfloat16() == "plain"
        self.packed = on_cpu and not self.raised and torch.backends.mkldnn.is_available()
        if self.packed:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight, PACKED_ROWS)

    def __call__(self, x: Tensor) -> Tensor:
        x = x.to(self.dtype)
        if self.packed:
            name, algorithm = FUSED[self.activation]
            y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, name, [], algorithm)
            return y
        y = (linear if self.raised else F.linear)(x, self.weight, self.bias)
        if self.activation is None:
            return y
        if self.activation == "relu":
            return F.relu(y)
        return F.gelu(y, approximate="none" if self.activation == "gelu" else "tanh")


class PackedBlock:
    """An `EncoderBlock`, for texts laid end to end."""

    def __init__(self, block: EncoderBlock, dtype: torch.dtype):
        self.n_heads = block.attention.n_heads
        self.qkv = PackedLinear(with_scaled_queries(block.attention.qkv, self.n_heads), dtype)
        self.out = PackedLinear(block.attention.out, dtype)
        self.attention_norm, self.mlp_norm = block.attention_norm, block.mlp_norm
        self.up = PackedLinear(block.mlp.up, dtype, block.mlp.activation)
        self.down = PackedLinear(block.mlp.down, dtype)

    def __call__(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        texts = self.qkv(x).split(list(lengths))
        attended = torch.cat([attend(text, self.n_heads) for text in texts]) if len(texts) > 1 else None
        x = self.attention_norm(x + self.out(attend(texts[0], self.n_heads) if attended is None else attended))
        return self.mlp_norm(x + self.down(self.up(x)))


def attend(qkv: Tensor, n_heads: int) -> Tensor:
    """Attention of one text, (T, 3C) to (T, C), every token to every token; queries come scaled."""
    T, width = qkv.shape
    q, k, v = qkv.view(T, 3, n_heads, width // (3 * n_heads)).permute(1, 2, 0, 3).contiguous()
    if T < LONG or qkv.dtype != torch.bfloat16 or qkv.device.type != "cpu" or cpu_bfloat16() == "plain":
        y = F.scaled_dot_product_attention(q[None], k[None], v[None], scale=1.0)[0]
    else:
        y = torch.bmm(torch.bmm(q, k.transpose(1, 2)).softmax(-1), v)
    return y.transpose(0, 1).reshape(T, width // 3)


def with_scaled_queries(qkv: nn.Linear, n_heads: int) -> nn.Linear:
    """The layer with 1 / sqrt(head width) in its query rows, so that no product has to be scaled later."""
    scaled = nn.Linear(qkv.in_features, qkv.out_features, device="meta")
    scale = torch.ones(qkv.out_features, 1, device=qkv.weight.device)
    scale[: qkv.in_features] = (qkv.in_features / n_heads) ** -0.5
    scaled.weight, scaled.bias = nn.Parameter(qkv.weight * scale), nn.Parameter(qkv.bias * scale[:, 0])
    return scaled


class PackedEncoder:
    """Token ids of several texts to their hidden states in float32; products in `dtype`."""

    def __init__(self, encoder: Encoder, dtype: torch.dtype):
        self.encoder = encoder
        self.blocks = [PackedBlock(block, dtype) for block in encoder.blocks]  # type: ignore[arg-type]

    def __call__(self, rows: Sequence[Sequence[int]], types: Sequence[Sequence[int]] | None = None) -> list[Tensor]:
        """Each text's hidden states (T, C). `types` are segment types; all of the first where it is not given.

        Raises IndexError where a text passes the context.
        """
        encoder, device = self.encoder, self.encoder.embedding.weight.device
        lengths = [len(row) for row in rows]
        if max(lengths) > encoder.config.context_length:
            raise IndexError(f"{max(lengths)} positions exceed the context of {encoder.config.context_length}")
        tokens = torch.tensor([token for row in rows for token in row], device=device)
        positions = torch.cat([encoder.positions(text) for text in tokens.split(lengths)])
        x = encoder.embedding(tokens) + encoder.position_embedding(positions)
        if encoder.config.n_types:
            kinds = (
                torch.tensor([t for row in types for t in row], device=device) if types else torch.zeros_like(tokens)
            )
            x = x + encoder.type_embedding(kinds)
        x = encoder.embedding_norm(x)
        for block in self.blocks:
            x = block(x, lengths)
        return [x[end - length : end] for length, end in zip(lengths, accumulate(lengths), strict=True)]
