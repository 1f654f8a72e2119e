"""Which scores are largest, and log-probabilities: in numpy, or as the library does that computed the logits.

Among thousands of scores some are equal, in bfloat16 many, and every library orders equal ones in its own way; it
sums in its own order, too. What was made before with a seed is made again only if both stay as they were.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Ranking(Protocol):
    def likeliest(self, scores: np.ndarray, k: int) -> np.ndarray:
        """The places (B, k) of the k largest scores of each row of (B, V), largest first."""

    def log_softmax(self, logits: np.ndarray) -> np.ndarray:
        """Log-probabilities (B, V), in nats, float32."""


class NumpyRanking:
    """Of equal scores the first comes first; log-probabilities are summed in float64."""

    def likeliest(self, scores: np.ndarray, k: int) -> np.ndarray:
        return np.stack([_likeliest(row, k) for row in scores])

    def log_softmax(self, logits: np.ndarray) -> np.ndarray:
        return log_softmax(logits).astype(np.float32)


NUMPY = NumpyRanking()


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities (..., V), in nats, float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def _likeliest(scores: np.ndarray, k: int) -> np.ndarray:
    n = len(scores)
    if not 0 < k < n:
        return np.argsort(-scores, kind="stable")[:k]
    places = np.flatnonzero(scores >= np.partition(scores, n - k)[n - k])
    return places[np.argsort(-scores[places], kind="stable")[:k]]
