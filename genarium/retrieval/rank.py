"""Rank: the passages that were retrieved, in a new order by a closer look at each with the question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from genarium.retrieval.hits import Hit

DEPTH = 20
"""How many of the passages that were retrieved are looked at again."""
Score = Callable[[str, Sequence[str]], Iterable[float]]
"""How well each text answers the question; higher is better. A cross-encoder reads both together."""


def rank(question: str, hits: Sequence[Hit], score: Score) -> list[Hit]:
    """`hits` by their scores, best first; those of equal score stay in the order they came in."""
    scores = list(score(question, [hit.searched for hit in hits]))
    order = sorted(range(len(hits)), key=lambda place: (-scores[place], place))
    return [hits[place] for place in order]
