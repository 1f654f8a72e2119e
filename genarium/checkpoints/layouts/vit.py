"""The picture side of published image-text models -> `models.vit`: what BLIP's and GIT's folders have in common."""

from __future__ import annotations

from typing import Any

from genarium.checkpoints.fields.image_text import BlipVisionFields, GitVisionFields
from genarium.checkpoints.layouts.encoder_config import ACTIVATIONS
from genarium.models.vit import ViTConfig

# Native name -> published names, within a block; its attention has names of its own in each layout.
BLOCK = {
    "attention_norm": ("layer_norm1",),
    "mlp.up": ("mlp.fc1",),
    "mlp.down": ("mlp.fc2",),
    "mlp_norm": ("layer_norm2",),
}


def read_config(fields: BlipVisionFields | GitVisionFields, **more: Any) -> ViTConfig:
    """What a published `vision_config` describes."""
    return ViTConfig(
        image_size=fields.image_size,
        patch_size=fields.patch_size,
        n_layers=fields.num_hidden_layers,
        n_heads=fields.num_attention_heads,
        d_model=fields.hidden_size,
        d_ff=fields.intermediate_size,
        norm_eps=fields.layer_norm_eps,
        activation=ACTIVATIONS[fields.hidden_act],
        **more,
    )
