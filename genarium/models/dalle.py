"""DALL·E mini and mega (Dayma et al. 2021): a BART that reads words and writes the tokens of a picture.

The encoder reads up to 64 text tokens, the decoder writes 256 image tokens (16 x 16, row by row), which
`models.vqgan` paints. It is BART (Lewis et al. 2020, arXiv:1910.13461) with three changes: norms before and after
each attention (NormFormer, Shleifer et al. 2021, arXiv:2110.09456), gated feed-forward layers (Shazeer 2020,
arXiv:2002.05202), and no biases in any matrix.

Shapes below: B batch, T new tokens, S tokens attended to, H heads, D head width, C model width, V image vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.attention import KeysAndValues, attend


@dataclass(frozen=True)
class DalleConfig:
    """The defaults are mini's; mega has 24 layers of width 2048. Widths are in units, lengths in tokens.

    `n_codes` are the image tokens that can be painted; the vocabulary has a few more that are never drawn.
    """

    text_vocab_size: int = 50264
    text_length: int = 64
    image_vocab_size: int = 16385
    image_length: int = 256
    n_codes: int = 16384
    n_layers: int = 12
    n_heads: int = 16
    d_model: int = 1024
    d_ff: int = 2730
    padding: int = 1

    @property
    def start(self) -> int:
        """What stands before the first image token.

        The network was trained with the last row of its embedding there (16384; mega: 16415), but the package
        `min-dalle` ends, in version 0.4.11, with 16383, and its pictures are what people know these files by.
        """
        return self.n_codes - 1


class GLU(nn.Module):
    """gelu(gate) * up between two norms; gate and up are one matrix."""

    def __init__(self, config: DalleConfig):
        super().__init__()
        self.norm = nn.LayerNorm(config.d_model)
        self.gate_up = nn.Linear(config.d_model, 2 * config.d_ff, bias=False)
        self.gated_norm = nn.LayerNorm(config.d_ff)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(self.norm(x)).chunk(2, dim=-1)
        return self.down(self.gated_norm(F.gelu(gate) * up))


class SelfAttention(nn.Module):
    """Attention of a text to itself, or of a picture to what is painted of it so far."""

    def __init__(self, config: DalleConfig):
        super().__init__()
        self.n_heads = config.n_heads
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model, bias=False)
        self.out = nn.Linear(config.d_model, config.d_model, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None, cache: DecoderCache | None = None, layer: int = 0) -> Tensor:
        q, k, v = (heads(part, self.n_heads) for part in self.qkv(x).chunk(3, dim=-1))
        if cache is not None:
            k, v = cache.append(layer, k, v)
        return self.out(attend(q, k, v, mask).transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    """Attention of a picture to its text, whose keys and values are computed once."""

    def __init__(self, config: DalleConfig):
        super().__init__()
        self.n_heads = config.n_heads
        self.q = nn.Linear(config.d_model, config.d_model, bias=False)
        self.kv = nn.Linear(config.d_model, 2 * config.d_model, bias=False)
        self.out = nn.Linear(config.d_model, config.d_model, bias=False)

    def read(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, S, D) of a text's states (B, S, C)."""
        k, v = (heads(part, self.n_heads) for part in self.kv(text).chunk(2, dim=-1))
        return k, v

    def forward(self, x: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        return self.out(attend(heads(self.q(x), self.n_heads), k, v, mask).transpose(1, 2).flatten(2))


def heads(x: Tensor, n_heads: int) -> Tensor:
    """(B, T, C) to (B, H, T, D)."""
    return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)


class EncoderBlock(nn.Module):
    """x + norm(attention(norm(x))), then x + glu(x)."""

    def __init__(self, config: DalleConfig):
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.d_model)
        self.attention = SelfAttention(config)
        self.attended_norm = nn.LayerNorm(config.d_model)
        self.glu = GLU(config)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.attended_norm(self.attention(self.attention_norm(x), mask))
        return x + self.glu(x)


class TextEncoder(nn.Module):
    """Text tokens (B, T) to states (B, T, C)."""

    def __init__(self, config: DalleConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.text_vocab_size, config.d_model)
        self.position_embedding = nn.Embedding(config.text_length, config.d_model)
        self.embedding_norm = nn.LayerNorm(config.d_model)
        self.blocks = nn.ModuleList(EncoderBlock(config) for _ in range(config.n_layers))
        self.final_norm = nn.LayerNorm(config.d_model)

    def read(self, texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """States (B, S, C) of texts given as tokens, and which of them are no padding (B, S)."""
        longest, padding = max(len(text) for text in texts), self.config.padding
        rows = [[*text, *[padding] * (longest - len(text))] for text in texts]
        tokens = torch.tensor(rows, device=self.embedding.weight.device)
        return self(tokens), tokens != padding

    def forward(self, tokens: Tensor) -> Tensor:
        """Padding is not attended to. Raises IndexError where T passes `text_length`."""
        T = tokens.shape[1]
        if T > self.config.text_length:
            raise IndexError(f"{T} positions exceed the {self.config.text_length} of the text")
        mask = (tokens != self.config.padding)[:, None, None, :]
        x = self.embedding_norm(self.embedding(tokens) + self.position_embedding.weight[:T])
        for block in self.blocks:
            x = block(x, mask)
        return self.final_norm(x)


class DecoderCache(KeysAndValues):
    """What stays the same from token to token: the texts' keys and values, and those of the pictures so far.

    `texts` holds the (B, H, S, D) keys and values of each layer, `mask` (B, 1, 1, S) which of them are no padding.
    """

    def __init__(self, config: DalleConfig, texts: list[tuple[Tensor, Tensor]], mask: Tensor):
        self.texts, self.mask = texts, mask
        like = texts[0][0]
        shape = (config.n_layers, like.shape[0], config.n_heads, config.image_length, like.shape[-1])
        super().__init__(shape, dtype=like.dtype, device=like.device)


class DecoderBlock(nn.Module):
    """As the encoder's, with attention to the text between."""

    def __init__(self, config: DalleConfig, layer: int):
        super().__init__()
        self.layer = layer
        self.attention_norm = nn.LayerNorm(config.d_model)
        self.attention = SelfAttention(config)
        self.attended_norm = nn.LayerNorm(config.d_model)
        self.text_attention_norm = nn.LayerNorm(config.d_model)
        self.text_attention = CrossAttention(config)
        self.text_attended_norm = nn.LayerNorm(config.d_model)
        self.glu = GLU(config)

    def forward(self, x: Tensor, mask: Tensor | None, cache: DecoderCache) -> Tensor:
        x = x + self.attended_norm(self.attention(self.attention_norm(x), mask, cache, self.layer))
        k, v = cache.texts[self.layer]
        x = x + self.text_attended_norm(self.text_attention(self.text_attention_norm(x), k, v, cache.mask))
        return x + self.glu(x)


class ImageDecoder(nn.Module):
    """Image tokens (B, T), the start first, to logits (B, T, V) of those that follow them."""

    def __init__(self, config: DalleConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.image_vocab_size, config.d_model)
        self.position_embedding = nn.Embedding(config.image_length, config.d_model)
        self.embedding_norm = nn.LayerNorm(config.d_model)
        self.blocks = nn.ModuleList(DecoderBlock(config, layer) for layer in range(config.n_layers))
        self.final_norm = nn.LayerNorm(config.d_model)
        self.head = nn.Linear(config.d_model, config.image_vocab_size, bias=False)

    def read(self, text: Tensor, mask: Tensor, rows: Tensor) -> DecoderCache:
        """A cache for pictures of texts given as states (N, S, C), with `mask` (N, S) true where they are no padding.

        `rows` (B,) says which text each picture is of.
        """
        texts = []
        for block in self.blocks:
            assert isinstance(block, DecoderBlock)
            k, v = block.text_attention.read(text)
            texts.append((k[rows], v[rows]))
        return DecoderCache(self.config, texts, mask[rows, None, None, :])

    def forward(self, tokens: Tensor, cache: DecoderCache) -> Tensor:
        """Raises IndexError where the positions pass `image_length`."""
        past, T = cache.length, tokens.shape[1]
        if past + T > self.config.image_length:
            raise IndexError(f"{past + T} positions exceed the {self.config.image_length} of a picture")
        mask = None
        if T > 1:
            places = torch.arange(past + T, device=tokens.device)
            mask = places <= places[past:, None]
        x = self.embedding(tokens) + self.position_embedding.weight[past : past + T]
        x = self.embedding_norm(x)
        for block in self.blocks:
            x = block(x, mask, cache)
        cache.length = past + T
        return self.head(self.final_norm(x))


class GuidedImages:
    """Images of a prompt, each drawn away from what the empty text would give: classifier-free guidance in logits.

    empty + scale * (prompt - empty) (Ho and Salimans 2022, arXiv:2207.12598, eq. 6), which DALL·E mini calls
    super-conditioning. A row is an image; in the network it is two, of the empty text and of the prompt.
    """

    def __init__(self, decoder: ImageDecoder, scale: float):
        self.decoder, self.scale = decoder, scale
        self.context_length, self.vocab_size = decoder.config.image_length, decoder.config.n_codes

    def start(self, states: Tensor, mask: Tensor, images: int) -> DecoderCache:
        """`images` empty rows of texts given as states (2, S, C), the empty one first; `mask`: real tokens."""
        rows = torch.tensor([0] * images + [1] * images, device=states.device)
        return self.decoder.read(states, mask, rows)

    def step(self, cache: DecoderCache, tokens: Tensor) -> Tensor:
        """Logits (B, n_codes), float32, of what follows tokens (B, T)."""
        logits = self.decoder(tokens.repeat(2, 1), cache)[:, -1, : self.decoder.config.n_codes].float()
        empty, prompted = logits.chunk(2)
        return empty * (1 - self.scale) + prompted * self.scale
