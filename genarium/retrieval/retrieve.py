"""Retrieve: the passages that may hold an answer, by meaning and by words, both lists made one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from genarium.retrieval.compounds import related
from genarium.retrieval.conditions import Conditions
from genarium.retrieval.store import Index
from genarium.retrieval.vectors import DEPTH
from genarium.retrieval.words import is_german, keywords

Item = TypeVar("Item", int, tuple[int, int])
K = 60
"""The constant of reciprocal rank fusion that its authors found good on every collection they tried."""


def fuse(rankings: Sequence[Sequence[Item]], *, k: int = K) -> list[Item]:
    """Several rankings as one: an item's score is the sum of 1 / (k + its rank) over those it is in.

    Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009). Equal scores stay in order of number.
    """
    scores: dict[Item, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, 1):
            scores[item] = scores.get(item, 0.0) + 1.0 / (k + rank)
    return sorted(scores, key=lambda item: (-scores[item], item))


def by_words(index: Index, question: str, limit: int = DEPTH, conditions: Conditions | None = None) -> list[int]:
    """Passages that share words with the question and meet the conditions, best first (BM25).

    Words of a German question are searched with the compounds that they are in or made of.
    """
    words = keywords(question)
    if is_german(question):
        words += related(index.connection, words)
    return index.search_words(words, limit, conditions) if words else []
