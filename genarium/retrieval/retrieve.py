"""Retrieve: the passages that may hold an answer, by meaning and by words, both scores made one."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np

from genarium.retrieval.compounds import related
from genarium.retrieval.conditions import Conditions
from genarium.retrieval.store import Index
from genarium.retrieval.vectors import DEPTH
from genarium.retrieval.words import is_german, keywords

Item = TypeVar("Item", bound=int | tuple[int, int])
MEANING = 0.6
"""The part that meaning has in a score; words have the rest. This and the next two were chosen on tuning questions."""
APART = 5.0
"""Standard deviations above the mean of all cosines that are worth as much as the best match by words."""
SAME_FILE = 0.3
"""What a passage has of the best score in its file: an answer's neighbours are seldom far from it."""


def standing(cosines: np.ndarray) -> np.ndarray:
    """How far each cosine (N,) stands out of all of a search, 1 being `APART` deviations, or the furthest among few.

    Cosines of one encoder run from 0 to 1, of another from 0.7 to 0.9: so they are comparable, and words weigh as much
    beside either.
    """
    spread = float(cosines.std(dtype=np.float64)) if len(cosines) else 0.0
    if spread < 1e-9:
        return np.zeros(len(cosines))
    # No one of n numbers is further from their mean than sqrt(n - 1) deviations (Samuelson 1968).
    furthest = min(APART, math.sqrt(len(cosines) - 1))
    out: np.ndarray = (cosines - cosines.mean(dtype=np.float64)) / (spread * furthest)
    return out


def fuse(
    meaning: Mapping[Item, float], words: Mapping[Item, float], file: Mapping[Item, Hashable]
) -> dict[Item, float]:
    """What either search found with its score, best first: a convex combination of both scores, and part of the best in
    the same `file` (Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval").

    `meaning` is what `standing` gives, `words` BM25 as a share of the best. Equal scores stay in order of number.
    """
    scores = {
        item: MEANING * meaning.get(item, 0.0) + (1 - MEANING) * words.get(item, 0.0) for item in {*meaning, *words}
    }
    best: dict[Hashable, float] = {}
    for item, score in scores.items():
        best[file[item]] = max(score, best.get(file[item], score))
    # Rounded: what is equal but for the last bits is equal on every machine.
    whole = {item: round(score + SAME_FILE * best[file[item]], 6) for item, score in scores.items()}
    return {item: whole[item] for item in sorted(whole, key=lambda item: (-whole[item], item))}


def by_words(index: Index, question: str, limit: int = DEPTH, conditions: Conditions | None = None) -> dict[int, float]:
    """Passages that share words with the question and meet the conditions, best first, and how well: BM25 as a share of
    the best.

    Words of a German question are searched with the compounds that they are in or made of.
    """
    words = keywords(question)
    if is_german(question):
        words += related(index.connection, words)
    found = index.search_words(words, limit, conditions) if words else []
    return {number: score / found[0][1] for number, score in found}
