"""Rank: the passages that were retrieved, in a new order by a closer look at each with the question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from genarium.retrieval.extract import Judged
from genarium.retrieval.hits import Hit

DEPTH = 20
"""How many of the passages that were retrieved are looked at again."""
BEST_SENTENCE = 0.7
"""How much the score of a passage's best sentence counts beside that of the passage; chosen on tuning questions."""
Score = Callable[[str, Sequence[str]], Iterable[float]]
"""How well each text answers the question; higher is better. A cross-encoder reads both together."""


def rank(question: str, hits: Sequence[Hit], score: Score) -> list[Hit]:
    """`hits` by their scores, best first; those of equal score stay in the order they came in."""
    return _best_first(hits, list(score(question, [hit.searched for hit in hits])))


def by_sentences(hits: Sequence[Hit], scores: Sequence[float], judged: Judged) -> list[Hit]:
    """`hits` by their `scores` in the search and by what the best sentence of each has; equal ones stay in order.

    A vector of 800 characters blurs the one sentence that answers, as vectors of single tokens show by their gain (the
    greatest similarity in Khattab and Zaharia 2020, "ColBERT"). The sentences were read for quoting in any case.
    """
    best: dict[tuple[str, int], float] = {}
    for quote, score in zip(judged.quotes, judged.scores, strict=True):
        place = quote.hit.index, quote.hit.id
        best[place] = max(best.get(place, float(score)), float(score))
    whole = [
        round(score + BEST_SENTENCE * best.get((hit.index, hit.id), 0.0), 6)
        for hit, score in zip(hits, scores, strict=True)
    ]
    return _best_first(hits, whole)


def _best_first(hits: Sequence[Hit], scores: Sequence[float]) -> list[Hit]:
    return [hits[place] for place in sorted(range(len(hits)), key=lambda place: (-scores[place], place))]
