"""Retrieve: the passages that may hold an answer, by meaning and by words, both lists made one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from genarium.retrieval.store import Index
from genarium.retrieval.words import keywords

DEPTH = 50
"""How many each search gives to the fusion."""
K = 60
"""The constant of reciprocal rank fusion that its authors found good on every collection they tried."""


def fuse(rankings: Sequence[Sequence[int]], *, k: int = K) -> list[int]:
    """Several rankings as one: an item's score is the sum of 1 / (k + its rank) over those it is in.

    Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009). Equal scores stay in order of number.
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, 1):
            scores[item] = scores.get(item, 0.0) + 1.0 / (k + rank)
    return sorted(scores, key=lambda item: (-scores[item], item))


def by_words(index: Index, question: str, limit: int = DEPTH) -> list[int]:
    """Passages that share words with the question, best first (BM25)."""
    words = keywords(question)
    return index.search_words(words, limit) if words else []


class PassageVectors:
    """Every passage's vector in memory: `numbers` (N,) and `matrix` (N, C)."""

    def __init__(self, index: Index):
        self.numbers, self.matrix = index.vectors()

    def nearest(self, vector: np.ndarray, limit: int = DEPTH) -> list[tuple[int, float]]:
        """Passages by the cosine with `vector` (C,), which has length 1; best first. Exact: all are compared."""
        if not len(self.numbers):
            return []
        cosines = self.matrix @ vector
        limit = min(limit, len(cosines))
        best = np.argpartition(-cosines, limit - 1)[:limit]
        best = best[np.lexsort((self.numbers[best], -cosines[best]))]
        return [(int(self.numbers[place]), float(cosines[place])) for place in best]


@lru_cache(maxsize=2)
def vectors(name: str, digest: str) -> PassageVectors:
    """The vectors of an index with this digest, read once."""
    with Index(name) as index:
        return PassageVectors(index)


def retrieve(index: Index, known: PassageVectors, question: str, vector: np.ndarray, limit: int = DEPTH) -> list[int]:
    """Passages for the question, best first, by both searches."""
    dense = [number for number, _ in known.nearest(vector, limit)]
    return fuse([dense, by_words(index, question, limit)])[:limit]
