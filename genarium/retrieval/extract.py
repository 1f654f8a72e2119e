"""Extract: the sentences and rows of the passages that answer, as they stand, and how sure that is.

Each is judged by its meaning, alone and under its heading, and by the words it shares with the question. Headings, and
sentences that speak to a model, answer nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from genarium.retrieval.hits import Hit
from genarium.retrieval.instructions import is_instruction
from genarium.retrieval.kinds import fits
from genarium.retrieval.quotes import Quote, meant_rows, quotes_of, with_its_numbers
from genarium.retrieval.words import keywords, words

Close = Callable[[Sequence[str]], np.ndarray]
"""The closeness of each text to the question (N,): 0 that of anything, 1 the same."""

UNDER_HEADING, SHARED, RARE = 0.5, 0.15, 0.15
"""What counts beside a sentence's closeness: that under its heading, the share of the question's words that it has,
and for a row of a table that it is the one meant."""
UNFIT = 0.2
"""What a sentence loses that has no number where one is asked for, no price, no time."""
BESIDE = 0.04
"""A second sentence stands in an answer if its score is no further behind the first's."""
OTHERWISE = 0.55
"""How close a sentence of another file has to be to the first to say the same thing otherwise."""
BEARING = 0.35
"""How far behind the best a sentence's score may be for a written one to stand on it."""
CLOSER = 24
"""How many sentences are judged under their headings, too."""
NO_FURTHER = 0.25
"""How far behind the first such a sentence's score may be."""
CONSIDERED = 12
"""Of how many of the best sentences one may say otherwise."""
UNDERLINED = re.compile(r"[^\n]+\n[ ]*(?:[=\-~^\"'*+#`]{3,}|\|?[ :|-]*-[ :|-]*)\s*")

LINK = re.compile(r"(?:\.\.\s*)?(?:_`[^`]+`|_[\w .-]+|\[[^\]]+\]):\s*<?https?://\S+")
"""What a link's name stands for, as reStructuredText and Markdown write it."""
CLOSER_IS_LIKELIER, UNFIT_IS_UNLIKELIER, AT_NONE = 6.9, 3.1, -2.7
"""From the best sentence to how likely an answer is there: a logistic regression on the tuning questions of books,
documentation, and the mixed set with either encoder, each of the four and each half (with and without an answer)
weighing the same."""


@dataclass(frozen=True)
class Judged:
    """What may be quoted, and how well each answers, (N,); `support` is how likely, from 0 to 1, the documents answer
    at all; `passed_over` counts sentences that speak to a model.
    """

    quotes: list[Quote]
    scores: np.ndarray
    passed_over: int = 0
    support: float = 0.0

    @property
    def order(self) -> list[int]:
        """Best first."""
        return [int(place) for place in np.argsort(-self.scores, kind="stable")]


def judge(question: str, hits: Sequence[Hit], close: Close) -> Judged:
    """Every sentence and row of the passages that may be quoted."""
    every = quotes_of(hits)
    said = [quote for quote in every if not is_instruction(quote.searched)]
    passed_over = len(every) - len(said)
    quotes = with_its_numbers(question, [quote for quote in said if not is_heading(quote)])
    if not quotes:
        return Judged([], np.zeros(0), passed_over)
    alone = [quote.searched for quote in quotes]
    under = [f"{quote.hit.context}: {text}" for quote, text in zip(quotes, alone, strict=True)]
    meant = [id(quote) for quote in meant_rows(question, quotes)]
    beside = SHARED * shared(question, under)
    beside += RARE * np.array([id(quote) in meant for quote in quotes])
    told = zip(alone, quotes, strict=True)
    unfit = np.array([not fits(question, text, has_time=bool(quote.time)) for text, quote in told])
    beside -= UNFIT * unfit
    closeness = np.array(close(alone), np.float64)
    itself = closeness.copy()
    # Under their headings only those that may be the best: most of the time goes into reading them.
    first = np.argsort(-(closeness + beside), kind="stable")[:CLOSER]
    closeness[first] *= 1 - UNDER_HEADING
    closeness[first] += UNDER_HEADING * close([under[place] for place in first])
    best = int(np.argmax(closeness + beside))
    return Judged(quotes, closeness + beside, passed_over, support(float(itself[best]), bool(unfit[best])))


def support(closeness: float, unfit: bool) -> float:
    """How likely an answer is there, from how close the best sentence is, and whether it lacks what is asked for."""
    return 1 / (1 + math.exp(-(CLOSER_IS_LIKELIER * closeness - UNFIT_IS_UNLIKELIER * unfit + AT_NONE)))


def best_of(judged: Judged, *, most: int = 2) -> list[Quote]:
    """The best, and what comes nearly as close; what stands in two places once."""
    best: dict[str, Quote] = {}
    for place in judged.order:
        if len(best) == most or judged.scores[place] < judged.scores[judged.order[0]] - BESIDE:
            break
        best.setdefault(judged.quotes[place].searched, judged.quotes[place])
    return list(best.values())


def bears(judged: Judged, quote: Quote) -> bool:
    """Whether a quote has to do with the question: what a model writes may stand on no other, whatever it says."""
    scores = [
        score
        for one, score in zip(judged.quotes, judged.scores, strict=True)
        if (one.hit.id, one.hit.index, one.start) == (quote.hit.id, quote.hit.index, quote.start)
    ]
    return bool(scores) and max(scores) >= float(judged.scores.max()) - BEARING


def otherwise(first: Quote, judged: Judged, close: Close) -> list[Quote]:
    """What other files say instead of the first quote: nearly the same sentence, with another number or name.

    `close` tells how close texts are to the first.
    """
    least = float(judged.scores.max()) - NO_FURTHER
    others = [judged.quotes[place] for place in judged.order[:CONSIDERED] if judged.scores[place] >= least]
    others = [one for one in others if (one.hit.index, one.hit.file) != (first.hit.index, first.hit.file)]
    if not others:
        return []
    near = close([one.searched for one in others])
    said = telling(first.searched)
    found = [
        one
        for one, closeness in zip(others, near, strict=True)
        if closeness >= OTHERWISE and (there := telling(one.searched)) and said and there != said
    ]
    return found[:1]


def telling(text: str) -> frozenset[str]:
    """The numbers of a text; where it has none, its words that begin with a capital inside a sentence."""
    numbers = frozenset(re.findall(r"\d+(?:[.,:]\d+)*", text))
    return numbers or frozenset(re.findall(r"(?<=[\w,;] )[A-ZÄÖÜ]\w+", text))


def is_heading(quote: Quote) -> bool:
    """Whether it is a title, which says what stands below, or where a link leads: neither answers anything."""
    text = quote.text.strip()
    if LINK.fullmatch(text):
        return True
    if quote.reading or ("\n" in text and not UNDERLINED.fullmatch(text)):
        return False
    bare = " ".join(text.split("\n")[0].strip("#=*_~-: \t").split()).casefold()
    if re.fullmatch(r"[^\W\d]\w*(?: [\w,&/-]+){0,3}", text) and not re.search(r"\d", text):
        return True  # a few words on a line of their own
    is_marked = text.startswith("#") and quote.hit.file.lower().endswith((".md", ".markdown"))
    return is_marked or "\n" in text or bare in {part.strip().casefold() for part in quote.hit.context.split("›")}


def shared(question: str, texts: Sequence[str]) -> np.ndarray:
    """The share of the question's words that each text has too, in any form that begins alike (N,)."""
    asked = [_begin(word) for word in keywords(question)]
    there = [{_begin(word) for word in words(text)} for text in texts]
    return np.array([sum(word in found for word in asked) for found in there]) / max(1, len(asked))


def _begin(word: str) -> str:
    return word if len(word) < 6 or not word.isalpha() else word[: max(5, len(word) - 3)]
