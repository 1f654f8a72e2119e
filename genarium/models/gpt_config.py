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


def shapes(config: GPTConfig) -> dict[str, tuple[int, ...]]:
    """The name and shape of every parameter of the network, as its `state_dict` has them; a tied head is left out."""
    c = config
    attended, heads = c.n_heads * c.head_dim, (c.n_heads + 2 * c.n_kv_heads) * c.head_dim
    first = "gate_up" if c.mlp in ("swiglu", "geglu", "geglu_tanh", "reglu") else "up"
    found: dict[str, tuple[int, ...]] = {"embedding.weight": (c.vocab_size, c.d_model)}
    if c.positions == "learned":
        found["position_embedding.weight"] = (c.context_length, c.d_model)

    def matrix(name: str, rows: int, columns: int, bias: bool) -> None:
        found[f"{name}.weight"] = (rows, columns)
        if bias:
            found[f"{name}.bias"] = (rows,)

    def norm(name: str) -> None:
        for leaf in ("weight", "bias") if c.norm == "layernorm" else ("weight",):
            found[f"{name}.{leaf}"] = (c.d_model,)

    for block in (f"blocks.{layer}" for layer in range(c.n_layers)):
        norm(f"{block}.attention_norm")
        matrix(f"{block}.attention.qkv", heads, c.d_model, c.qkv_bias)
        matrix(f"{block}.attention.out", c.d_model, attended, c.out_bias)
        for which in "qk" if c.qk_norm else "":
            found[f"{block}.attention.{which}_norm.weight"] = (c.head_dim,)
        norm(f"{block}.mlp_norm")
        matrix(f"{block}.mlp.{first}", (2 if first == "gate_up" else 1) * c.d_ff, c.d_model, c.mlp_bias)
        matrix(f"{block}.mlp.down", c.d_model, c.d_ff, c.mlp_bias)
    norm("final_norm")
    if not c.tie_embeddings:
        found["head.weight"] = (c.vocab_size, c.d_model)
    return found
