"""What can be quoted of passages: sentences, and rows of tables; and which rows a question means."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from genarium.data.sentences import sentences
from genarium.retrieval.formats.subtitles import TIMED
from genarium.retrieval.hits import Hit
from genarium.retrieval.normalize import normalized
from genarium.retrieval.words import is_german, keywords, words

LONGEST = 400
"""Characters of a sentence that ends in a colon together with the next."""


@dataclass(frozen=True)
class Quote:
    """What a sentence of the answer stands on: characters `start` to `end` of the passage's text. `reading` is what a
    row of a table says with its headings, and a sentence of subtitles without its time.
    """

    hit: Hit
    start: int
    end: int
    reading: str = ""

    @property
    def text(self) -> str:
        return self.hit.text[self.start : self.end]

    @property
    def searched(self) -> str:
        """The text as models read it."""
        return normalized(self.reading or self.text)

    @property
    def time(self) -> str:
        """When it is said, where that is known: "0:01:02–0:01:07" of subtitles, else empty."""
        timed = TIMED.match(self.text) if self.reading and self.reading != self.text else None
        return timed[1] if timed else ""

    @property
    def is_row(self) -> bool:
        """Whether it is a row of a table."""
        return bool(self.reading) and not self.time

    @property
    def shown(self) -> str:
        """The text as a sentence of an answer, which says a row with its headings, and when something is said."""
        return self.text if self.time else self.reading or self.text


def quotes_of(hits: Sequence[Hit]) -> list[Quote]:
    """Every sentence and row of the passages once, though neighbouring passages share some."""
    seen: set[tuple[str, str, int]] = set()
    quotes = []
    for quote in itertools.chain.from_iterable(map(units_of, hits)):
        place = (quote.hit.index, quote.hit.file, quote.hit.start + quote.start)
        if place not in seen and re.search(r"\w", quote.text):
            seen.add(place)
            quotes.append(quote)
    return quotes


def units_of(hit: Hit) -> list[Quote]:
    """What can be quoted of a passage, in order: rows of tables, and the sentences around them."""
    quotes, place = list[Quote](), 0
    language = "de" if is_german(hit.text) else "en"
    for row in [*hit.rows, None]:
        end = len(hit.text) if row is None else row.start
        quotes += [Quote(hit, place + start, place + stop) for start, stop in _said(hit.text[place:end], language)]
        if row is not None:
            quotes.append(Quote(hit, row.start, row.end, row.reading))
            place = row.end
    return quotes


def _said(text: str, language: str) -> list[tuple[int, int]]:
    """Where the sentences of a text are. One that ends in a colon is one with the next, which it says nothing without;
    and a full stop inside a name, as in `nn.Linear`, ends none.
    """
    found: list[tuple[int, int]] = []
    for start, end in sentences(text, language):
        before, last = found[-1] if found else (0, 0)
        in_name = last == start and re.match(r"\.[A-Za-z_]", text[last - 1 : last + 1]) is not None
        opens = text[last - 1 : last] in (":", "：") and "#" not in text[start : start + 1] and end - before <= LONGEST
        if found and (in_name or opens):
            found[-1] = before, end
        else:
            found.append((start, end))
    return found


def meant_rows(question: str, quotes: Sequence[Quote]) -> list[Quote]:
    """The rows of tables whose cells share most of the question's words that hardly a row has; none where none does.

    A number in the question is one of these: a row without it is another row. "plot 9" counts for more than a 9 under
    another heading.
    """
    asked = keywords(question)
    rows = [(quote, set(asked) & (_words(quote) - _heading_words(quote))) for quote in quotes if quote.is_row]
    often = Counter(word for _, words in rows for word in words)
    rare = {word for word in asked if word.isdigit() or 0 < often[word] <= max(1, len(rows) // 4)}
    numbers = {word for word in rare if word.isdigit()}
    pairs = {" ".join(pair) for pair in itertools.pairwise(words(question))}
    fitting = [
        (quote, (len(words & rare), sum(f" {pair} " in _spelled(quote) for pair in pairs)))
        for quote, words in rows
        if words & rare and words & numbers == numbers
    ]
    most = max((fit for _, fit in fitting), default=(0, 0))
    return [quote for quote, fit in fitting if fit == most]


def _words(quote: Quote) -> set[str]:
    return set(words(quote.searched))


def _heading_words(quote: Quote) -> set[str]:
    """The words of a row's headings: every row of its table has them."""
    headings = " ".join(re.findall(r"(?:^|; )([^:;]+): ", quote.searched.lower()))
    return {word for word in words(headings) if not word.isdigit()}


def _spelled(quote: Quote) -> str:
    """A quote's words and nothing else, a blank around each."""
    return f" {' '.join(words(quote.searched))} "


def with_its_numbers(question: str, quotes: Sequence[Quote]) -> list[Quote]:
    """The quotes but rows without a number that the question names, in themselves or in what stands over them; and
    where a row has them all, only what has them too.
    """
    numbers = {word for word in keywords(question) if word.isdigit()}
    if not numbers:
        return list(quotes)
    if meant_rows(question, quotes):
        return [quote for quote in quotes if numbers <= _words(quote)]
    return [quote for quote in quotes if not quote.is_row or numbers <= _words(quote) | set(words(quote.hit.context))]
