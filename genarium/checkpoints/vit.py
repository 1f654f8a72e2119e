"""The picture side of published image-text models -> `models.vit`: what BLIP's and GIT's folders have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genarium.checkpoints.encoder import ACTIVATIONS as TEXT_ACTIVATIONS
from genarium.models.encoder import Activation
from genarium.models.vit import ViTConfig

ACTIVATIONS: dict[str, Activation] = {**TEXT_ACTIVATIONS, "quick_gelu": "quick_gelu"}
"""By published name: CLIP's quick GELU beside those of texts."""
# Native name -> published names, within a block; its attention has names of its own in each layout.
BLOCK = {
    "attention_norm": ("layer_norm1",),
    "mlp.up": ("mlp.fc1",),
    "mlp.down": ("mlp.fc2",),
    "mlp_norm": ("layer_norm2",),
}


def read_config(raw: Mapping[str, Any], *, image_size: int, activation: Activation, **more: Any) -> ViTConfig:
    """What a published `vision_config` describes; `image_size` is that of a folder which names none."""
    return ViTConfig(
        image_size=raw.get("image_size", image_size),
        patch_size=raw.get("patch_size", 16),
        n_layers=raw.get("num_hidden_layers", 12),
        n_heads=raw.get("num_attention_heads", 12),
        d_model=raw.get("hidden_size", 768),
        d_ff=raw.get("intermediate_size", 3072),
        norm_eps=raw.get("layer_norm_eps", 1e-5),
        activation=activation,
        **more,
    )
