"""Which part of a picture each word is about: maps of sub-word tokens joined to maps of words.

The sums over attention weights of three papers stand here as plain functions of tensors:

- Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) on cross-attention, as the authors of ALBEF (Li et al.
  2021, arXiv:2107.07651) and BLIP use it;
- relevance through self-attention (Chefer et al. 2021, arXiv:2103.15679, equations 5 and 6);
- DAAM (Tang et al. 2022, arXiv:2210.04885), which sums what a denoiser's places looked at.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.errors import BadInput

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Span = tuple[int, int]
"""Characters [start, end) of a text."""
WHOLE = (0.0, 0.0, 1.0, 1.0)
# A word keeps its apostrophes and hyphens; any other run of signs (an emoji) is a word of its own.
_WORD = re.compile(r"\w+(?:['’\-]\w+)*|[^\w\s]+")


@dataclass(frozen=True)
class WordMaps:
    """A map (h, w) ≥ 0 for each word of `text`, float32, over the part of the picture that the model saw.

    `box` is that part: (left, top, right, bottom) as shares of the picture's width and height. `spans` say where the
    words are in `text`. Maps are comparable within one model and method only.
    """

    text: str
    spans: tuple[Span, ...]
    maps: np.ndarray
    box: tuple[float, float, float, float] = WHOLE

    @property
    def words(self) -> list[str]:
        return [self.text[start:end] for start, end in self.spans]


def spans_of(text: str) -> list[Span]:
    """Where a text's words are, as characters [start, end); punctuation is none. BadInput where there is no word."""
    found = [
        match.span() for match in _WORD.finditer(text) if not all(unicodedata.category(c)[0] == "P" for c in match[0])
    ]
    if not found:
        raise BadInput(f"there is no word to explain in {text!r}; give a caption such as 'a bird over the sea'")
    return found


def read_spans(text: str, offsets: Sequence[Span]) -> tuple[Span, ...]:
    """The words that tokens read: those that were cut are left out. Raises BadInput where none is left.

    `offsets` are the characters [start, end) of each token in `text`, empty for special ones.
    """
    found = tuple(span for span in spans_of(text) if _pieces(span, offsets))
    if not found:
        raise BadInput(f"the model reads no word of {text!r}; give a caption of plain words")
    return found


def join(text: str, offsets: Sequence[Span], maps: np.ndarray) -> tuple[tuple[Span, ...], np.ndarray]:
    """The words that tokens read, and a map for each: the mean over its pieces. `maps` is (tokens, h, w)."""
    spans = read_spans(text, offsets)
    joined = np.stack([maps[_pieces(span, offsets)].mean(axis=0) for span in spans])
    return spans, joined.astype(np.float32)


def of_tokens(prompt: str, tokenizer: Tokenizer, maps: np.ndarray) -> WordMaps:
    """A map for each word of a prompt, of maps (S, h, w) of its tokens and of what pads them."""
    offsets = tokenizer.encode(prompt).offsets
    return WordMaps(prompt, *join(prompt, offsets, maps[: len(offsets)]))


def _pieces(span: Span, offsets: Sequence[Span]) -> list[int]:
    """Which tokens read a part of the word."""
    start, end = span
    return [place for place, (first, last) in enumerate(offsets) if first < min(end, last) and last > start]


def grad_cam(weights: Tensor, gradients: Tensor) -> Tensor:
    """Mean over heads of weights · max(gradients, 0): (H, T, S) attention and the score's gradient by it, to (T, S)."""
    return (weights * gradients.clamp(min=0)).mean(0)


def relevance(weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """How much each of T tokens at the top stands on each at the bottom: (T, T).

    From every self-attention layer, in order, its weights (H, T, T) and the score's gradient by them. R starts as the
    identity, and each layer adds A R with A the mean over heads of max(weights · gradients, 0).
    """
    R = torch.eye(weights[0].shape[-1], dtype=weights[0].dtype, device=weights[0].device)
    for layer, gradient in zip(weights, gradients, strict=True):
        R = R + (layer * gradient).clamp(min=0).mean(0) @ R
    return R


class Attribution:
    """What the places of a denoiser looked at, summed over its steps, layer by layer.

    `latents` is the height and width of what it denoises; its layers see that size, or a half, a quarter … of it.
    """

    def __init__(self, latents: tuple[int, int]):
        self.latents = latents
        self.sums: dict[int, Tensor] = {}

    def add(self, layer: int, weights: Tensor) -> None:
        """Weights (B, H, T, S) of one step, the prompt's own row last, after that of the negative prompt."""
        looked = weights[-1].float()
        self.sums[layer] = self.sums[layer] + looked if layer in self.sums else looked

    def maps(self) -> np.ndarray:
        """(S, h, w) at the latents' size: bicubic, below zero clipped, then the mean over all heads of all layers."""
        scaled = []
        for summed in self.sums.values():
            H, T, S = summed.shape
            height, width = _size_of(T, self.latents)
            grids = summed.transpose(1, 2).reshape(H, S, height, width)
            scaled.append(F.interpolate(grids, size=self.latents, mode="bicubic").clamp(min=0))
        merged: np.ndarray = torch.cat(scaled).mean(0).cpu().numpy()
        return merged


def _size_of(places: int, latents: tuple[int, int]) -> tuple[int, int]:
    """The height and width, halved from those of the latents, of so many places."""
    height, width = latents
    while height * width > places:
        height, width = -(-height // 2), -(-width // 2)
    if height * width != places:
        raise ValueError(f"{places} places are no halving of {latents}")
    return height, width
