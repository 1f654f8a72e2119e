"""Choosing the next token from logits.

Every sample draws from a random stream of its own, keyed by (seed, index of the sample). What else shares
the batch therefore never changes a sample's text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How to choose. `temperature` 0 is greedy; `top_k` 0, `top_p` 1, `min_p` 0, `repetition_penalty` 1 are off."""

    max_new_tokens: int = 100
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0


class RandomStreams:
    """One uniform number in [0, 1) per sample and step, from counter-based streams (Salmon et al. 2011, Philox)."""

    def __init__(self, seed: int, samples: list[int]):
        self.streams = [np.random.Generator(np.random.Philox(key=[seed, index])) for index in samples]

    def draw(self, rows: list[int]) -> Tensor:
        """(len(rows),) float64, one from each of these rows' streams."""
        return torch.tensor([self.streams[row].random() for row in rows], dtype=torch.float64)


def penalise_repetition(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Divide positive and multiply negative logits of tokens already there (Keskar et al. 2019, 4.1).

    `logits` (B, V); `seen` (B, V) bool.
    """
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def filter_logits(logits: Tensor, sampling: Sampling) -> Tensor:
    """Set to -inf what top-k, top-p and min-p leave out, in that order. (B, V) to (B, V).

    Top-k: Fan et al. 2018, arXiv:1805.04833. Top-p: Holtzman et al. 2019, arXiv:1904.09751.
    Min-p: Nguyen et al. 2024, arXiv:2407.01082.
    """
    if 0 < sampling.top_k < logits.shape[-1]:
        smallest = logits.topk(sampling.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    if sampling.top_p < 1:
        values, order = logits.sort(dim=-1, descending=True)
        probabilities = values.softmax(dim=-1)
        outside = probabilities.cumsum(dim=-1) - probabilities >= sampling.top_p
        outside[:, 0] = False
        logits = logits.masked_fill(outside.scatter(-1, order, outside), -torch.inf)
    if sampling.min_p > 0:
        probabilities = logits.softmax(dim=-1)
        limit = sampling.min_p * probabilities.max(dim=-1, keepdim=True).values
        logits = logits.masked_fill(probabilities < limit, -torch.inf)
    return logits


def choose(logits: Tensor, sampling: Sampling, uniforms: Tensor | None) -> Tensor:
    """Next tokens (B,) from logits (B, V), by inversion of the cumulative distribution at `uniforms` (B,).

    Greedy at temperature 0, where `uniforms` is not used.
    """
    if sampling.temperature == 0 or uniforms is None:
        return logits.argmax(dim=-1)
    kept = filter_logits(logits.double() / sampling.temperature, sampling)
    cumulative = kept.softmax(dim=-1).cumsum(dim=-1)
    # Scaled by the sum, so that rounding never leaves the draw behind the last token.
    draw = uniforms.to(cumulative.device).unsqueeze(-1) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, draw, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)
