"""Sizes of network, each with the settings it is trained with when nothing else is said."""

from __future__ import annotations

from typing import Literal

from genarium.models.gpt import GPTConfig
from genarium.training.settings import Settings


def llama(n_layers: int, d_model: int, n_heads: int, d_ff: int, context_length: int, dropout: float) -> GPTConfig:
    return GPTConfig(
        context_length=context_length,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_heads,
        head_dim=d_model // n_heads,
        d_model=d_model,
        d_ff=d_ff,
        norm="rmsnorm",
        positions="rotary",
        mlp="swiglu",
        qkv_bias=False,
        out_bias=False,
        mlp_bias=False,
        dropout=dropout,
    )


def gpt2(
    n_layers: int,
    d_model: int,
    n_heads: int,
    context_length: int,
    dropout: float,
    mlp: Literal["gelu", "gelu_tanh"] = "gelu_tanh",
) -> GPTConfig:
    return GPTConfig(
        context_length=context_length,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_heads,
        head_dim=d_model // n_heads,
        d_model=d_model,
        d_ff=4 * d_model,
        mlp=mlp,
        dropout=dropout,
    )


# Each preset: the network, and how it is trained when nothing else is said.
PRESETS: dict[str, tuple[GPTConfig, Settings, int]] = {
    # nanoGPT's published CPU setting: 4 layers, 4 heads, width 128, context 64, 12 rows, 2,000 steps.
    "tiny": (
        gpt2(4, 128, 4, 64, 0.0, "gelu"),
        Settings(steps=2000, learning_rate=4e-3, min_learning_rate=4e-4, evaluate_every=500),
        12,
    ),
    # The starter: at most 16 MiB in half precision.
    "small": (
        llama(6, 320, 5, 704, 512, 0.0),
        Settings(
            steps=3600,
            optimizer="muon",
            learning_rate=3e-3,
            min_learning_rate=1e-4,
            warmup_steps=150,
            weight_decay=0.3,
            evaluate_every=200,
        ),
        16,
    ),
    "gpt2": (
        gpt2(12, 768, 12, 1024, 0.0),
        Settings(steps=100_000, learning_rate=6e-4, min_learning_rate=6e-5, warmup_steps=2000, grad_accumulation=8),
        12,
    ),
}
