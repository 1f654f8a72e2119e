"""How much texts repeat themselves and each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence


def distinct(texts: Sequence[str], n: int) -> float:
    """Distinct-n: the share of all n-grams of words that are different ones (Li et al. 2016, arXiv:1510.03055, 4.3).

    1 where there are none.
    """
    grams = [gram for text in texts for gram in _grams(text.split(), n)]
    return len(set(grams)) / len(grams) if grams else 1.0


def self_bleu(texts: Sequence[str], longest: int = 4) -> float:
    """The mean BLEU of each text with all others as its references, 0 to 1 (Zhu et al. 2018, arXiv:1802.01886, 3.1).

    Counts of n-grams beyond 1 are smoothed by one (Lin and Och 2004). High where texts are all alike.
    """
    words = [text.split() for text in texts if text.split()]
    if len(words) < 2:
        return 0.0
    counts = [[Counter(_grams(text, n)) for n in range(1, longest + 1)] for text in words]
    return sum(_bleu(place, words, counts) for place in range(len(words))) / len(words)


def _bleu(place: int, words: Sequence[Sequence[str]], counts: Sequence[Sequence[Counter[tuple[str, ...]]]]) -> float:
    others = [other for other in range(len(words)) if other != place]
    logs = 0.0
    for n, own in enumerate(counts[place]):
        matched = sum(min(count, max(counts[o][n][gram] for o in others)) for gram, count in own.items())
        plus = 1 if n else 0
        if not matched + plus:
            return 0.0
        logs += math.log((matched + plus) / (own.total() + plus))
    length = len(words[place])
    nearest = min((len(words[o]) for o in others), key=lambda other: (abs(other - length), other))
    return min(1.0, math.exp(1 - nearest / length)) * math.exp(logs / len(counts[place]))


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[first:] for first in range(n)), strict=False))
