"""GIT (Wang et al. 2022, arXiv:2205.14100): a causal text Transformer that reads a picture's patches before the words.

Patches see each other and no words; so their keys and values are the same whatever is written, and are kept.

Shapes: P pictures, S states of a picture, B rows of text, T tokens, C text width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genarium.models.attention import KeysAndValues
from genarium.models.encoder import EncoderBlock, initialise
from genarium.models.encoder_config import EncoderConfig
from genarium.models.vit import VisionTransformer, ViTConfig


@dataclass(frozen=True)
class GitConfig:
    """The picture's side and the text's, of which `n_types` and `pooler` play no part; special tokens by number."""

    image: ViTConfig
    text: EncoderConfig
    start_token: int = 101
    end_token: int = 102


class Git(nn.Module):
    """Writes what is in a picture (transformers' `GitForCausalLM`)."""

    def __init__(self, config: GitConfig):
        super().__init__()
        self.config = config
        text, C = config.text, config.text.d_model
        self.image = VisionTransformer(config.image)
        self.projection = nn.Linear(config.image.d_model, C)
        self.projection_norm = nn.LayerNorm(C, eps=config.image.norm_eps)
        self.embedding = nn.Embedding(text.vocab_size, C)
        self.position_embedding = nn.Embedding(text.context_length, C)
        self.embedding_norm = nn.LayerNorm(C, eps=text.norm_eps)
        self.blocks = nn.ModuleList(EncoderBlock(text) for _ in range(text.n_layers))
        self.out = nn.Linear(C, text.vocab_size)
        initialise(self)

    def see(self, images: Tensor) -> Tensor:
        """Pictures (P, 3, H, W) as what the text reads first, (P, S, C)."""
        return self.projection_norm(self.projection(self.image(images)))

    def read(self, states: Tensor, capacity: int) -> KeysAndValues:
        """Each layer's keys and values of pictures (P, S, C), with room for `capacity` tokens of text after them."""
        text = self.config.text
        P, S, C = states.shape
        shape = (text.n_layers, P, text.n_heads, S + capacity, C // text.n_heads)
        cache = KeysAndValues(shape, dtype=states.dtype, device=states.device)
        x = states
        for layer, block in enumerate(self.blocks[:-1]):
            x = block(x, None, cache=cache, layer=layer)
        self.blocks[-1].attention.store(x, cache, text.n_layers - 1)  # type: ignore[operator, union-attr]
        cache.length = S
        return cache

    def start(self, images: Tensor, texts: int, capacity: int) -> KeysAndValues:
        """Pictures (P, 3, H, W) as the beginning of `texts` rows each, with room for `capacity` tokens in each."""
        cache = self.read(self.see(images), capacity)
        cache.select([image for image in range(len(images)) for _ in range(texts)])
        return cache

    def step(self, cache: KeysAndValues, tokens: Tensor) -> Tensor:
        """Scores (B, V) of what follows tokens (B, T) after those in the cache. Raises IndexError past the context."""
        T, past = tokens.shape[1], cache.length
        columns = torch.arange(T, device=tokens.device)
        positions = columns + past - (1 + self.config.image.grid**2)
        if past + T > cache.keys.shape[3]:
            raise IndexError(f"{past + T} positions exceed the {cache.keys.shape[3]} there is room for")
        x = self.embedding_norm(self.embedding(tokens) + self.position_embedding(positions))
        mask = None if T == 1 else torch.arange(past + T, device=tokens.device) <= past + columns[:, None]
        for layer, block in enumerate(self.blocks):
            x = block(x, mask, cache=cache, layer=layer)
        cache.length = past + T
        return self.out(x[:, -1])
