"""Choosing the next token from logits: the same numbers whatever computed the logits.

Every sample draws from a random stream of its own, keyed by (seed, index of the sample). What else shares
the batch therefore never changes a sample's text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genarium.decoding.ranking import NUMPY, Ranking


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

    def __init__(self, seed: int, samples: Sequence[int]):
        self.streams = [random_stream(seed, index) for index in samples]

    def draw(self, rows: Sequence[int]) -> np.ndarray:
        """(len(rows),) float64, one from each of these rows' streams."""
        return np.array([self.streams[row].random() for row in rows], dtype=np.float64)


def penalise_repetition(logits: np.ndarray, seen: np.ndarray, penalty: float) -> np.ndarray:
    """Divide positive and multiply negative logits of tokens already there (Keskar et al. 2019, 4.1).

    `logits` (B, V); `seen` (B, V) bool.
    """
    return np.where(seen, np.where(logits > 0, logits / penalty, logits * penalty), logits)


def distribution(
    logits: np.ndarray, sampling: Sampling, ranking: Ranking = NUMPY
) -> tuple[np.ndarray, np.ndarray | None]:
    """What top-k, top-p and min-p, in that order, leave of the distribution at this temperature.

    From logits (B, V): probabilities (B, K) float64, each row summing to 1, and the tokens they belong to (B, K),
    likeliest first; None for all V tokens in their own order.
    Top-k: Fan et al. 2018, arXiv:1805.04833. Top-p: Holtzman et al. 2019, arXiv:1904.09751.
    Min-p: Nguyen et al. 2024, arXiv:2407.01082.
    """
    scaled = logits.astype(np.float64)
    if sampling.temperature != 1:
        scaled /= sampling.temperature
    tokens: np.ndarray | None = None
    if 0 < sampling.top_k < scaled.shape[-1]:
        tokens = ranking.likeliest(scaled, sampling.top_k)
        scaled = np.take_along_axis(scaled, tokens, axis=-1)
    if sampling.top_p < 1:
        scaled, order = _nucleus(scaled, sampling.top_p, ranking)
        tokens = order if tokens is None else np.take_along_axis(tokens, order, axis=-1)
    largest = scaled.max(axis=-1, keepdims=True)
    if sampling.min_p > 0:
        scaled[scaled < largest + math.log(sampling.min_p)] = -np.inf
    scaled -= largest
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=-1, keepdims=True)
    return scaled, tokens


def _nucleus(scaled: np.ndarray, top_p: float, ranking: Ranking) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest tokens that make up `top_p`, sorted; the rest of a row -inf. Both (B, K)."""
    shares = scaled - scaled.max(axis=-1, keepdims=True)
    np.exp(shares, out=shares)
    shares /= shares.sum(axis=-1, keepdims=True)
    found, most = _untied_nucleus(scaled, shares, top_p)
    if found is not None:
        order = np.zeros((len(scaled), max(map(len, found))), dtype=np.int64)
        values = np.full(order.shape, -np.inf)
        for row, places in enumerate(found):
            order[row, : len(places)] = places
            values[row, : len(places)] = scaled[row, places]
        return values, order
    k = min(256, scaled.shape[-1])
    while k < min(most, scaled.shape[-1]):
        k = min(8 * k, scaled.shape[-1])
    while True:
        order = ranking.likeliest(scaled, k)
        values = np.take_along_axis(scaled, order, axis=-1)
        probabilities = np.take_along_axis(shares, order, axis=-1)
        cumulative = probabilities.cumsum(axis=-1)
        if k == scaled.shape[-1] or bool((cumulative[:, -1] >= top_p).all()):
            outside = cumulative - probabilities >= top_p
            outside[:, 0] = False
            values[outside] = -np.inf
            return values, order
        k = min(8 * k, scaled.shape[-1])


NEAR = (6.0, 20.0, math.inf)
"""How far below the largest logit the nucleus is looked for, in turn: sorting a vocabulary costs more than a step."""


MANY = 2048
"""Values that are sorted faster than their places are: so many are first looked at for equal ones."""


def _untied_nucleus(scaled: np.ndarray, shares: np.ndarray, top_p: float) -> tuple[list[np.ndarray] | None, int]:
    """Each row's tokens that make up `top_p`, likeliest first; None where some are equal: `ranking` orders those.

    And how many the most of a row are.
    """
    found, most, is_tied = [], 0, False
    for row, share in zip(scaled, shares, strict=True):
        for near in NEAR:
            places = np.flatnonzero(share >= share.max() * math.exp(-near))
            if (kept := share[places]).sum() >= top_p:
                break
        if len(places) > MANY:
            kept = -np.sort(-kept)
            n = max(1, int(np.searchsorted(kept.cumsum() - kept, top_p)))
            values = np.sort(row[places])[::-1][: n + 1]
            most = max(most, n)
            if is_tied := is_tied or not (values[1:] < values[:-1]).all():
                continue
        places = places[np.argsort(-row[places])]
        kept = share[places]
        n = max(1, int(np.searchsorted(kept.cumsum() - kept, top_p)))
        values = row[places[: n + 1]]
        is_tied = is_tied or not (values[1:] < values[:-1]).all()
        most = max(most, n)
        found.append(places[:n])
    return None if is_tied else found, most


def choose(logits: np.ndarray, sampling: Sampling, uniforms: np.ndarray | None, ranking: Ranking = NUMPY) -> np.ndarray:
    """Next tokens (B,) from logits (B, V), by inversion of the cumulative distribution at `uniforms` (B,).

    Greedy at temperature 0, where `uniforms` is not used.
    """
    if sampling.temperature == 0 or uniforms is None:
        return logits.argmax(axis=-1)
    probabilities, tokens = distribution(logits, sampling, ranking)
    cumulative = np.cumsum(probabilities, axis=-1, out=probabilities)
    last = cumulative.shape[-1] - 1
    # Scaled by the sum, so that rounding never leaves the draw after the last token.
    draws = uniforms * cumulative[:, -1]
    found = [row.searchsorted(draw, side="right") for row, draw in zip(cumulative, draws, strict=True)]
    places = np.minimum(found, last)
    return places if tokens is None else tokens[np.arange(len(places)), places]
