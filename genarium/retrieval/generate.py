"""Generate: an answer from the passages that were found, every sentence of it with the passage that says so.

`read` takes the sentence that holds the words a reader chose. `write` lets a language model write, then keeps only
those of its sentences that name a passage in which they can be found again. Neither answers where nothing does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from genarium.data.sentences import sentences
from genarium.retrieval.hits import Hit
from genarium.retrieval.instructions import is_instruction
from genarium.retrieval.normalize import normalized
from genarium.retrieval.quotes import Quote, quotes_of, units_of

CloseTo = Callable[[str, Sequence[str]], np.ndarray]
"""How close each text is to the first (N,): 0 as close as anything, 1 the same."""
Read = Callable[[str, Sequence[str]], "list[TextSpan]"]
Complete = Callable[[str], str]

SAME = 0.50
"""How close a written sentence has to be, at least, to one of the passage it cites."""
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
        said = normalized(unit.shown)
        places.append((len(text), len(text) + len(said)))
        text += said
        place = unit.end
    return text, places


def evidence(hit: Hit) -> str:
    """What a passage says to a reader, without the sentences that speak to a model."""
    units = units_of(hit)
    text, places = _laid_out(units)
    for unit, (start, end) in reversed(list(zip(units, places, strict=True))):
        if is_instruction(unit.searched):
            text = text[:start] + text[end:]
    return text.strip()


def prompt(question: str, hits: Sequence[Hit]) -> str:
    """What a language model is asked."""
    passages = "\n\n".join(f"[{number}] {hit.context}\n{evidence(hit)}" for number, hit in enumerate(hits, 1))
    return (
        "Answer the question from the passages below and from nothing else. Behind every sentence put the number of "
        f'the passage that says it, as in [1]. If the passages do not answer it, write only: "{NO_ANSWER}"\n\n'
        f"{passages}\n\nQuestion: {question}\nAnswer:"
    )


CITATION = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")


def write(question: str, hits: Sequence[Hit], complete: Complete, close: CloseTo) -> tuple[list[Sentence], list[str]]:
    """What a model writes: the sentences that stand the check, and those that were left out.

    A sentence stands if each number in it is in a passage that it cites, and a sentence of each says nearly the same
    (closeness `SAME`); the passages of which none does are no longer cited. One that cites none is looked for in all of
    them: small models forget to.
    """
    written = complete(prompt(question, hits)).partition("\nQuestion:")[0].strip()
    kept, left_out = list[Sentence](), list[str]()
    for text, numbers in dict(_cited(written)).items():  # what is said twice is said once
        if text.endswith(("?", "？")) or any(text.startswith(hit.context) for hit in hits if hit.context):
            left_out.append(text)  # the question again, or a title
            continue
        cited = [hits[n - 1] for n in numbers if 1 <= n <= len(hits)] if numbers else hits
        quotes = _supporting(text, cited, close)
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


def _supporting(text: str, hits: Sequence[Hit], close: CloseTo) -> list[Quote]:
    text = normalized(text)
    numbers = re.findall(r"\d+(?:[.,]\d+)*", text)
    if is_instruction(text) or any(all(number not in evidence(hit) for hit in hits) for number in numbers):
        return []
    quotes = [quote for quote in quotes_of(hits) if not is_instruction(quote.searched)]
    if not quotes:
        return []
    best: dict[int, tuple[float, Quote]] = {}
    for quote, closeness in zip(quotes, close(text, [quote.searched for quote in quotes]), strict=True):
        if closeness >= SAME and (quote.hit.id not in best or closeness > best[quote.hit.id][0]):
            best[quote.hit.id] = (float(closeness), quote)
    return [quote for _, quote in best.values()]
