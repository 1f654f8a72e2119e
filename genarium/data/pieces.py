"""Pieces of labelled texts, each with the label of its whole: more to learn from where texts are few."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from genarium.data.labelled import LabelledText

# A clause ends after a mark, and begins with one of these words.
CLAUSES = re.compile(r"(?<=[.!?,;:])\s+|\.\.+|\s+(?=(?:and|but|or|so|then|when|if|because|&)\s)")
WORDS = range(3, 23)
CLAUSES_A_PIECE = 4
SHARE = 0.8  # of the text's characters, at most: more would be the text again


def pieces(examples: Sequence[LabelledText], most: int, seed: int) -> list[LabelledText]:
    """Up to `most` pieces of each different text, none of them twice and none a text of `examples` itself.

    A piece is one to four neighbouring clauses, of 3 to 22 words; a text of one clause is cut in half. Long texts have
    more pieces than short ones, so labels whose texts are longer would become more frequent: their pieces are thinned
    until labels have the shares that they have among `examples`.
    """
    draw = np.random.default_rng([seed, 3])
    taken = {example.text for example in examples}
    found: dict[str, list[LabelledText]] = {example.label: [] for example in examples}
    for example in dict.fromkeys(examples):
        candidates = [piece for piece in dict.fromkeys(_candidates(example.text)) if piece not in taken]
        for place in draw.permutation(len(candidates))[:most]:
            taken.add(candidates[place])
            found[example.label].append(LabelledText(candidates[place], example.label))
    texts = Counter(example.label for example in examples)
    each = min(len(found[label]) / count for label, count in texts.items())
    thinned = []
    for label, count in texts.items():
        kept = draw.permutation(len(found[label]))[: round(each * count)]
        thinned += [found[label][place] for place in sorted(kept)]
    return thinned


def _candidates(text: str) -> list[str]:
    clauses = [clause.strip() for clause in CLAUSES.split(" ".join(text.split())) if clause.strip()]
    runs = [
        " ".join(clauses[start:end])
        for start in range(len(clauses))
        for end in range(start + 1, min(start + CLAUSES_A_PIECE, len(clauses)) + 1)
    ]
    fitting = [run for run in runs if len(run.split()) in WORDS and len(run) <= SHARE * len(text)]
    words = text.split()
    middle = len(words) // 2
    halves = [" ".join(words[:middle]), " ".join(words[middle:])]
    return fitting or [half for half in halves if len(half.split()) in WORDS]
