"""A vision Transformer (Dosovitskiy et al. 2020, arXiv:2010.11929): BLIP's and, with its options, CLIP's and GIT's.

Shapes: B pictures, S = 1 + patches tokens of which the first is the class token, C model width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genarium.models.encoder import MLP, SelfAttention
from genarium.models.encoder_config import Activation


@dataclass(frozen=True)
class ViTConfig:
    """Sizes are in pixels. The defaults are BLIP base's (Li et al. 2022, arXiv:2201.12086)."""

    image_size: int = 384
    patch_size: int = 16
    n_layers: int = 12
    n_heads: int = 12
    d_model: int = 768
    d_ff: int = 3072
    norm_eps: float = 1e-5
    activation: Activation = "gelu"
    patch_bias: bool = True
    first_norm: bool = False  # CLIP's LayerNorm before the first block

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.image_size // self.patch_size


class ViTBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.d_model, eps=config.norm_eps)
        self.attention = SelfAttention(config.d_model, config.n_heads)
        self.mlp_norm = nn.LayerNorm(config.d_model, eps=config.norm_eps)
        self.mlp = MLP(config.d_model, config.d_ff, config.activation)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), mask)
        return x + self.mlp(self.mlp_norm(x))


class VisionTransformer(nn.Module):
    """Pictures (B, 3, H, W), of the config's size and normalised as its preprocessor says, to states (B, S, C)."""

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.config = config
        C = config.d_model
        self.class_embedding = nn.Parameter(torch.zeros(C))
        self.patch_embedding = nn.Conv2d(3, C, config.patch_size, config.patch_size, bias=config.patch_bias)
        self.position_embedding = nn.Parameter(torch.zeros(1 + config.grid**2, C))
        if config.first_norm:
            self.first_norm = nn.LayerNorm(C, eps=config.norm_eps)
        self.blocks = nn.ModuleList(ViTBlock(config) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(C, eps=config.norm_eps)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch_embedding(images).flatten(2).transpose(1, 2)
        first = self.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        x = torch.cat((first, patches), dim=1) + self.position_embedding
        if self.config.first_norm:
            x = self.first_norm(x)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)
