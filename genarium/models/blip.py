"""BLIP (Li et al. 2022, arXiv:2201.12086): a vision Transformer, and a text Transformer that looks at what it saw.

The text Transformer is a BERT with cross-attention in every block. As a decoder it is causal and writes captions
(`Captioner`); as an encoder it is bidirectional and says whether text and picture match (`Matcher`).

Shapes: P pictures, B texts (P divides B: texts of one picture stand together), T tokens, S states of a picture,
H heads, D head width, C text width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.attention import KeysAndValues, attend
from genarium.models.encoder import MLP, SelfAttention, activate, initialise
from genarium.models.encoder_config import EncoderConfig
from genarium.models.vit import VisionTransformer, ViTConfig

Memory = list[tuple[Tensor, Tensor]]
"""A picture as each layer's cross-attention sees it: keys and values (P, H, S, D). Computed once for all its texts."""


@dataclass(frozen=True)
class BlipConfig:
    """The picture's side and the text's, of which `n_types` and `pooler` play no part; special tokens by number."""

    image: ViTConfig
    text: EncoderConfig
    start_token: int = 30522  # [DEC]: begins what the decoder writes
    end_token: int = 102  # [SEP]
    projection: int = 256  # width of the space in which text and picture are compared without cross-attention


class CrossAttention(nn.Module):
    """Every token of a text attends to every state of its picture."""

    def __init__(self, d_model: int, d_image: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.q = nn.Linear(d_model, d_model)
        self.kv = nn.Linear(d_image, 2 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def read(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (P, H, S, D) of a picture's states (P, S, d_image)."""
        P, S, _ = states.shape
        k, v = (part.view(P, S, self.n_heads, -1).transpose(1, 2) for part in self.kv(states).chunk(2, dim=-1))
        return k, v

    def forward(self, x: Tensor, image: tuple[Tensor, Tensor]) -> Tensor:
        """x (B, T, C). A picture's texts are read as one long text, so that its keys need not be repeated."""
        k, v = image
        return self._merged(attend(self._queries(x, len(k)), k, v), x)

    def explicit(self, x: Tensor, image: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """What `forward` gives, and the attention (B, H, T, S) it came from, through which gradients flow.

        Where nothing below asks for gradients the maps begin the graph: Grad-CAM then goes back only as far.
        """
        k, v = image
        B, T, _ = x.shape
        q = self._queries(x, len(k))
        maps = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1)
        maps = maps.view(len(k), self.n_heads, -1, T, k.shape[2]).transpose(1, 2).reshape(B, self.n_heads, T, -1)
        if torch.is_grad_enabled() and not maps.requires_grad:
            maps.requires_grad_()
        folded = maps.view(len(k), -1, self.n_heads, T, k.shape[2]).transpose(1, 2).flatten(2, 3)
        return self._merged(folded @ v, x), maps

    def _queries(self, x: Tensor, P: int) -> Tensor:
        """(B, T, C) to (P, H, B / P · T, D)."""
        return self.q(x).view(P, -1, self.n_heads, x.shape[2] // self.n_heads).transpose(1, 2)

    def _merged(self, y: Tensor, x: Tensor) -> Tensor:
        return self.out(y.transpose(1, 2).reshape(x.shape))


class TextBlock(nn.Module):
    """Self-attention, cross-attention where there is a picture, MLP; a LayerNorm after each addition."""

    def __init__(self, config: EncoderConfig, d_image: int):
        super().__init__()
        C, eps = config.d_model, config.norm_eps
        self.attention = SelfAttention(C, config.n_heads)
        self.attention_norm = nn.LayerNorm(C, eps=eps)
        self.cross = CrossAttention(C, d_image, config.n_heads)
        self.cross_norm = nn.LayerNorm(C, eps=eps)
        self.mlp = MLP(C, config.d_ff, config.activation)
        self.mlp_norm = nn.LayerNorm(C, eps=eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None,
        image: tuple[Tensor, Tensor] | None,
        *,
        causal: bool,
        cache: KeysAndValues | None,
        layer: int,
        maps: list[Tensor] | None,
    ) -> Tensor:
        """`maps`, where given, gets this block's cross-attention (B, H, T, S)."""
        own = self.attention(x, mask, causal=causal, cache=cache, layer=layer)
        x = self.attention_norm(x + self.dropout(own))
        if image is not None:
            if maps is None:
                seen = self.cross(x, image)
            else:
                seen, attention = self.cross.explicit(x, image)
                maps.append(attention)
            x = self.cross_norm(x + self.dropout(seen))
        return self.mlp_norm(x + self.dropout(self.mlp(x)))


class TextTransformer(nn.Module):
    """Token ids (B, T) and what pictures look like to each layer, to hidden states (B, T, C)."""

    def __init__(self, config: EncoderConfig, d_image: int):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.position_embedding = nn.Embedding(config.context_length, config.d_model)
        self.embedding_norm = nn.LayerNorm(config.d_model, eps=config.norm_eps)
        self.blocks = nn.ModuleList(TextBlock(config, d_image) for _ in range(config.n_layers))
        self.dropout = nn.Dropout(config.dropout)

    def read(self, states: Tensor) -> Memory:
        """A picture's states (P, S, d_image) as each layer sees them."""
        return [block.cross.read(states) for block in self.blocks]  # type: ignore[operator, union-attr]

    def forward(
        self,
        tokens: Tensor,
        image: Memory | None,
        *,
        lengths: Tensor | None = None,
        causal: bool = False,
        cache: KeysAndValues | None = None,
        maps_of: int | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Hidden states (B, T, C), and the cross-attention (B, H, T, S) of block `maps_of` where one is named.

        The first `lengths` (B,) tokens of a row are real. With a `cache` the tokens follow those it holds.
        Raises IndexError where the text passes `context_length`.
        """
        past = 0 if cache is None else cache.length
        end = past + tokens.shape[1]
        if end > self.config.context_length:
            raise IndexError(f"{end} positions exceed the context of {self.config.context_length}")
        columns = torch.arange(past, end, device=tokens.device)
        x = self.dropout(self.embedding_norm(self.embedding(tokens) + self.position_embedding(columns)))
        mask = None if lengths is None else (columns < lengths[:, None])[:, None, None, :]
        maps: list[Tensor] = []
        for layer, block in enumerate(self.blocks):
            seen = None if image is None else image[layer]
            asked = maps if layer == maps_of else None
            x = block(x, mask, seen, causal=causal, cache=cache, layer=layer, maps=asked)
        if cache is not None:
            cache.length = end
        return x, maps[0] if maps else None


@dataclass
class CaptionRows:
    """Rows of text that are being written: the pictures, which all rows of one share, and what was written so far."""

    image: Memory
    cache: KeysAndValues

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; those of a picture stay together, and as many as they were."""
        self.cache.select(rows)


class Captioner(nn.Module):
    """Writes what is in a picture (transformers' `BlipForConditionalGeneration`)."""

    def __init__(self, config: BlipConfig):
        super().__init__()
        self.config = config
        C = config.text.d_model
        self.image = VisionTransformer(config.image)
        self.text = TextTransformer(config.text, config.image.d_model)
        self.dense = nn.Linear(C, C)
        self.norm = nn.LayerNorm(C, eps=config.text.norm_eps)
        self.out = nn.Linear(C, config.text.vocab_size)
        self.out.weight = self.text.embedding.weight
        initialise_blip(self)

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Scores (B, T, V) of the token after each of `tokens` (B, T), which begin with the start token."""
        hidden, _ = self.text(tokens, self.text.read(self.image(images)), causal=True)
        return self.logits(hidden)

    def logits(self, hidden: Tensor) -> Tensor:
        return self.out(self.norm(activate(self.dense(hidden), self.config.text.activation)))

    def start(self, images: Tensor, texts: int, capacity: int) -> CaptionRows:
        """Pictures (P, 3, H, W) as `texts` empty rows each, with room for `capacity` tokens in each."""
        c, like = self.config.text, self.norm.weight
        shape = (c.n_layers, len(images) * texts, c.n_heads, capacity, c.d_model // c.n_heads)
        cache = KeysAndValues(shape, dtype=like.dtype, device=like.device)
        return CaptionRows(self.text.read(self.image(images)), cache)

    def step(self, rows: CaptionRows, tokens: Tensor) -> Tensor:
        """Scores (B, V) of what follows tokens (B, T) after those of the rows."""
        hidden, _ = self.text(tokens, rows.image, causal=True, cache=rows.cache)
        return self.logits(hidden[:, -1])


class BlipForMatching(nn.Module):
    """Says whether a text tells of a picture (transformers' `BlipForImageTextRetrieval`)."""

    def __init__(self, config: BlipConfig):
        super().__init__()
        self.config = config
        C = config.text.d_model
        self.image = VisionTransformer(config.image)
        self.text = TextTransformer(config.text, config.image.d_model)
        self.image_projection = nn.Linear(config.image.d_model, config.projection)
        self.text_projection = nn.Linear(C, config.projection)
        self.match = nn.Linear(C, 2)
        initialise_blip(self)

    def forward(self, images: Tensor, tokens: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Scores (B, 2) before the softmax: of no match, and of a match."""
        return self.judge(self.image(images), tokens, lengths=lengths)[0]

    def judge(
        self, states: Tensor, tokens: Tensor, *, lengths: Tensor | None = None, maps_of: int | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Scores (B, 2) of texts against pictures' states, and the cross-attention (B, H, T, S) of block `maps_of`.

        Gradients of a score with respect to those maps are what Grad-CAM weighs them by (`torch.autograd.grad`); the
        first of the S states is the class token, the others the patches, row by row.
        """
        hidden, maps = self.text(tokens, self.text.read(states), lengths=lengths, maps_of=maps_of)
        return self.match(hidden[:, 0]), maps

    def similarity(self, states: Tensor, tokens: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Cosines (P, B) of pictures and texts, each seen alone."""
        hidden, _ = self.text(tokens, None, lengths=lengths)
        image = F.normalize(self.image_projection(states[:, 0]), dim=-1)
        return image @ F.normalize(self.text_projection(hidden[:, 0]), dim=-1).T


def initialise_blip(model: nn.Module) -> None:
    """As BERT: normal(0, 0.02), biases zero, norms one; the class token is drawn like a position."""
    initialise(model)
    nn.init.normal_(model.get_parameter("image.class_embedding"), std=0.02)
