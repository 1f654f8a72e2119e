"""Choosing the next token from logits.

Every sample draws from a random stream of its own, keyed by (seed, index of the sample). What else shares
the batch therefore never changes a sample's text.
"""

from __future__ import annotations

import math
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
    logprobs: int | None = None
    """How many of the likeliest tokens are told at each step; None tells no log-probabilities."""


def random_stream(seed: int, sample: int) -> np.random.Generator:
    """One uniform number in [0, 1) a step: a counter-based stream for each sample (Salmon et al. 2011, Philox)."""
    return np.random.Generator(np.random.Philox(key=[seed, sample]))


class RandomStreams:
    """The streams of several samples."""

    def __init__(self, seed: int, samples: list[int]):
        self.streams = [random_stream(seed, index) for index in samples]

    def draw(self, rows: list[int]) -> Tensor:
        """(len(rows),) float64, one from each of these rows' streams."""
        return torch.tensor([self.streams[row].random() for row in rows], dtype=torch.float64)


def penalise_repetition(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Divide positive and multiply negative logits of tokens already there (Keskar et al. 2019, 4.1).

    `logits` (B, V); `seen` (B, V) bool.
    """
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def distribution(logits: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor | None]:
    """What top-k, top-p and min-p, in that order, leave of the distribution at this temperature.

    From logits (B, V): probabilities (B, K) float64, each row summing to 1, and the tokens they belong to (B, K),
    likeliest first; None for all V tokens in their own order.
    Top-k: Fan et al. 2018, arXiv:1805.04833. Top-p: Holtzman et al. 2019, arXiv:1904.09751.
    Min-p: Nguyen et al. 2024, arXiv:2407.01082.
    """
    scaled = logits.double()
    if sampling.temperature != 1:
        scaled = scaled / sampling.temperature
    tokens: Tensor | None = None
    if 0 < sampling.top_k < scaled.shape[-1]:
        scaled, tokens = scaled.topk(sampling.top_k, dim=-1)
    if sampling.top_p < 1:
        scaled, order = _nucleus(scaled, sampling.top_p)
        tokens = order if tokens is None else tokens.gather(-1, order)
    if sampling.min_p > 0:
        limit = scaled.max(dim=-1, keepdim=True).values + math.log(sampling.min_p)
        scaled = scaled.masked_fill(scaled < limit, -torch.inf)
    return scaled.softmax(dim=-1), tokens


def _nucleus(scaled: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """The likeliest tokens that make up `top_p`, sorted; the rest of a row -inf. Both (B, K).

    Sorting a vocabulary costs more than the network's step, so only as many tokens as are needed are sorted.
    """
    total = scaled.logsumexp(dim=-1, keepdim=True)
    k = min(256, scaled.shape[-1])
    while True:
        values, order = scaled.topk(k, dim=-1)
        probabilities = (values - total).exp()
        cumulative = probabilities.cumsum(dim=-1)
        if k == scaled.shape[-1] or bool((cumulative[:, -1] >= top_p).all()):
            outside = cumulative - probabilities >= top_p
            outside[:, 0] = False
            return values.masked_fill(outside, -torch.inf), order
        k = min(8 * k, scaled.shape[-1])


def choose(logits: Tensor, sampling: Sampling, uniforms: Tensor | None) -> Tensor:
    """Next tokens (B,) from logits (B, V), by inversion of the cumulative distribution at `uniforms` (B,).

    Greedy at temperature 0, where `uniforms` is not used.
    """
    if sampling.temperature == 0 or uniforms is None:
        return logits.argmax(dim=-1)
    probabilities, tokens = distribution(logits, sampling)
    cumulative = probabilities.cumsum(dim=-1)
    # Scaled by the sum, so that rounding never leaves the draw behind the last token.
    draw = uniforms.to(cumulative.device).unsqueeze(-1) * cumulative[:, -1:]
    place = torch.searchsorted(cumulative, draw, right=True).clamp(max=cumulative.shape[-1] - 1)
    return (place if tokens is None else tokens.gather(-1, place)).squeeze(-1)
