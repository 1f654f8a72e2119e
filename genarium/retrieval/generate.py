"""Generate: an answer from the passages that were found, every sentence of it with the passage that says so.

`extract` takes sentences of the passages as they stand. `write` lets a language model write, then keeps only those
of its sentences that name a passage in which they can be found again. Neither answers where nothing does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from genarium.data.sentences import sentences
from genarium.retrieval.hits import Hit
from genarium.retrieval.normalize import normalized
from genarium.retrieval.quotes import Quote, meant_rows, quotes_of, units_of, with_its_numbers
from genarium.retrieval.words import keywords

Embed = Callable[[Sequence[str]], np.ndarray]
Read = Callable[[str, Sequence[str]], "list[TextSpan]"]
Complete = Callable[[str], str]

SAME = 0.50
"""The least cosine of a written sentence with one of the passage it cites."""
WORD = 0.02
"""What each word of the question adds to the cosine of a sentence that has it."""
RARE = 0.15
"""What a row of a table gains by a word of the question that hardly another row has."""
CLOSE = 0.05
"""A second sentence stands in an extracted answer if its score is no further behind the first's."""
NO_ANSWER = "The documents do not say."


@dataclass(frozen=True)
class TextSpan:
    """The words `text[start:end]` that answer best; a higher score is a better answer, below 0 rather none."""

    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Sentence:
    """A sentence of the answer, without the numbers after it, and its quotes."""

    text: str
    quotes: list[Quote]


def extract(question: str, hits: Sequence[Hit], embed: Embed, *, most: int = 2) -> list[Sentence]:
    """The sentences of the passages that come closest to the question, at most `most`, best first.

    By meaning and by words, as passages are found: the cosine of both vectors, and `WORD` for each word in common.
    """
    quotes = with_its_numbers(question, quotes_of(hits))
    if not quotes:
        return []
    vectors = embed([normalized(question), *(quote.searched for quote in quotes)])
    closeness = vectors[1:] @ vectors[0] + _in_common(question, quotes)
    order = np.argsort(-closeness, kind="stable")
    chosen = [place for place in order[:most] if closeness[place] >= closeness[order[0]] - CLOSE]
    return [Sentence(quotes[place].shown, [quotes[place]]) for place in chosen]


def _in_common(question: str, quotes: Sequence[Quote]) -> np.ndarray:
    """What each quote gains by the words that it shares with the question (N,).

    A row of a table gains by those that few rows have: every row says "plot" and "holder", one says "9".
    """
    asked = set(keywords(question))
    shared = np.array([len(asked & set(keywords(quote.searched))) for quote in quotes])
    meant = [id(quote) for quote in meant_rows(question, quotes)]
    return WORD * shared + RARE * np.array([id(quote) in meant for quote in quotes])


def row_support(question: str, vector: np.ndarray, hits: Sequence[Hit], embed: Embed) -> float:
    """The cosine with the question's `vector` (C,) of the closest row that is meant; -1 where there is none.

    A passage of many rows comes close to no question, though one of its rows answers it.
    """
    rows = meant_rows(question, quotes_of(hits))
    return float((embed([row.searched for row in rows]) @ vector).max()) if rows else -1.0


def read(question: str, hits: Sequence[Hit], reader: Read) -> list[Sentence]:
    """The sentence that holds the words a reader takes for the answer; none where it finds none likelier."""
    units = [units_of(hit) for hit in hits]
    texts, places = zip(*map(_laid_out, units), strict=True) if hits else ((), ())
    spans = reader(question, list(texts))
    best = max(range(len(spans)), key=lambda place: spans[place].score, default=None)
    if best is None or spans[best].score <= 0:
        return []
    span = spans[best]
    inside = [
        quote
        for quote, (start, end) in zip(units[best], places[best], strict=True)
        if start < span.end and span.start < end
    ]
    if not inside:
        return []
    if any(quote.reading for quote in inside):
        return [Sentence(quote.shown, [quote]) for quote in inside]
    quote = Quote(hits[best], inside[0].start, inside[-1].end)
    return [Sentence(quote.text, [quote])]


def _laid_out(units: Sequence[Quote]) -> tuple[str, list[tuple[int, int]]]:
    """What a reader is given of a passage, what stands between the units as it is, and where each unit is in it."""
    text, places, place = "", list[tuple[int, int]](), 0
    for unit in units:
        text += unit.hit.text[place : unit.start]
        places.append((len(text), len(text) + len(unit.searched)))
        text += unit.searched
        place = unit.end
    return text, places


def prompt(question: str, hits: Sequence[Hit]) -> str:
    """What a language model is asked."""
    passages = "\n\n".join(f"[{number}] {hit.context}\n{hit.searched}" for number, hit in enumerate(hits, 1))
    return (
        "Answer the question from the passages below and from nothing else. Behind every sentence put the number of "
        f'the passage that says it, as in [1]. If the passages do not answer it, write only: "{NO_ANSWER}"\n\n'
        f"{passages}\n\nQuestion: {question}\nAnswer:"
    )


CITATION = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")


def write(question: str, hits: Sequence[Hit], complete: Complete, embed: Embed) -> tuple[list[Sentence], list[str]]:
    """What a model writes: the sentences that stand the check, and those that were left out.

    A sentence stands if each number in it is in a passage that it cites, and a sentence of each says nearly the same
    (cosine `SAME`); the passages of which none does are no longer cited. One that cites none is looked for in all of
    them: small models forget to.
    """
    written = complete(prompt(question, hits)).partition("\nQuestion:")[0].strip()
    kept, left_out = [], []
    for text, numbers in _cited(written):
        cited = [hits[n - 1] for n in numbers if 1 <= n <= len(hits)] if numbers else hits
        quotes = _supporting(text, cited, embed)
        if quotes:
            kept.append(Sentence(text, quotes))
        elif NO_ANSWER not in text:
            left_out.append(text)
    return kept, left_out


def _cited(written: str) -> list[tuple[str, list[int]]]:
    """Sentences and the numbers they cite; those after the full stop belong to the sentence before."""
    moved = re.sub(r"([.!?])((?:\s*\[[\d\s,]+\])+)", r"\2\1", written)
    found = []
    for start, end in sentences(moved):
        numbers = [int(n) for match in CITATION.finditer(moved, start, end) for n in match[1].split(",")]
        text = " ".join(re.sub(r"\s*\[[\d\s,]+\]", "", moved[start:end]).split())
        if re.search(r"\w", text):
            found.append((text, list(dict.fromkeys(numbers))))
    return found


def _supporting(text: str, hits: Sequence[Hit], embed: Embed) -> list[Quote]:
    text = normalized(text)
    numbers = re.findall(r"\d+(?:[.,]\d+)*", text)
    if any(all(number not in hit.searched for hit in hits) for number in numbers):
        return []
    quotes = quotes_of(hits)
    if not quotes:
        return []
    vectors = embed([text, *(quote.searched for quote in quotes)])
    closeness = vectors[1:] @ vectors[0]
    best: dict[tuple[str, int], tuple[float, Quote]] = {}
    for quote, close in zip(quotes, closeness, strict=True):
        passage = (quote.hit.index, quote.hit.id)
        if close >= SAME and (passage not in best or close > best[passage][0]):
            best[passage] = (float(close), quote)
    return [quote for _, quote in best.values()]
