"""What tells one decoder-only Transformer from another (`gpt.py`). Imports no torch: other engines read it, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from genarium.models.rotary import Scaling


@dataclass(frozen=True)
class GPTConfig:
    """Everything that tells one decoder from another. Widths are in units, lengths in tokens."""

    vocab_size: int = 50257
    context_length: int = 1024
    n_layers: int = 12
    n_heads: int = 12
    n_kv_heads: int = 12
    head_dim: int = 64
    d_model: int = 768
    d_ff: int = 3072
    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    norm_eps: float = 1e-5
    positions: Literal["learned", "rotary"] = "learned"
    rope_theta: float = 10_000.0
    rope_scaling: Scaling | None = None
    sliding_window: int | None = None  # tokens that are attended to, the own one included; None: all before it
    full_layers: tuple[int, ...] = ()  # those that attend to all in spite of a sliding_window
    mlp: Literal["gelu", "gelu_tanh", "relu", "swiglu", "geglu", "geglu_tanh", "reglu"] = "gelu_tanh"
    qkv_bias: bool = True
    out_bias: bool = True
    mlp_bias: bool = True
    qk_norm: bool = False
    tie_embeddings: bool = True
    dropout: float = 0.0  # on what each layer adds to the residual stream, in training
