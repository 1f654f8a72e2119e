"""A document cut into passages: at its sections first, then paragraphs, then sentences, then words."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from genarium.retrieval.document import Document, TableRow
from genarium.retrieval.normalize import normalized
from genarium.retrieval.words import RUN

SIZE, OVERLAP, LEAST = 800, 120, 200
"""Characters: the longest passage, about what the encoder reads at once (256 tokens); the most that two share;
and below which a section does not stand alone."""

# From strong to weak. A passage ends after the last match of the strongest kind found in its second half.
ENDS = (
    re.compile(r"\n[ \t]*\n\s*"),
    re.compile(r"[.!?:;][\"'”’)\]]*\s+|[。！？；][”’」』）]*\s*"),
    re.compile(r"\n"),
    re.compile(r"\s+|[，、：]"),
)
SENTENCE = ENDS[1]


@dataclass(frozen=True)
class Passage:
    """`document.text[start:end]` is `text`. `page` counts from 1; None where the file has no pages. `rows` are the
    rows of tables that lie whole in it, their places counted from its beginning.
    """

    start: int
    end: int
    text: str
    heading: str = ""
    page: int | None = None
    rows: list[TableRow] = field(default_factory=list)

    @property
    def searched(self) -> str:
        """What is searched and read by models: rows with their headings, no sign that hides a word."""
        return searched(self.text, self.rows)


def searched(text: str, rows: Sequence[TableRow]) -> str:
    """A passage's text with its rows as they read, normalized."""
    pieces, place = [], 0
    for row in rows:
        pieces += [text[place : row.start], row.reading]
        place = row.end
    return normalized("".join([*pieces, text[place:]]))


def passages(document: Document, *, size: int = SIZE, overlap: int = OVERLAP, least: int = LEAST) -> Iterator[Passage]:
    """The document's passages in order: together they hold every character but white space, none begins or ends
    with white space, and none is longer than `size`. Neighbours inside a section share up to `overlap` characters
    of whole sentences. A row of a table is cut only where it is longer than a passage.
    """
    text = document.text
    if 2 * sum(map(len, RUN.findall(text))) > len(text):  # a character of Chinese says as much as two letters
        size, overlap, least = size // 2, overlap // 2, least // 2
    sections = [section.start for section in document.sections]
    rows, ends = document.rows, [row.end for row in document.rows]
    whole = _without_ends(text, rows)
    start = 0
    while start < len(text):
        end, next_start = _end(whole, start, sections, size, overlap, least)
        cut = bisect.bisect_right(ends, end)
        if end < len(text) and cut < len(rows) and start < rows[cut].start < end:
            end = next_start = rows[cut].start
        elif cut < len(rows) and rows[cut].start < end < rows[cut].end:
            end, next_start = _end(text, start, sections, size, overlap, least)
        piece = text[start:end]
        first = start + len(piece) - len(piece.lstrip())
        if shown := piece.strip():
            heading, page = document.heading(first), document.page(first)
            last = first + len(shown)
            inside = rows[bisect.bisect_left(ends, first) : bisect.bisect_right(ends, last)]
            here = [TableRow(r.start - first, r.end - first, r.reading) for r in inside if r.start >= first]
            yield Passage(first, last, shown, heading, page, here)
        start = next_start


def _without_ends(text: str, rows: Sequence[TableRow]) -> str:
    """The text with each row as one long word, so that a passage ends between rows."""
    pieces, place = [], 0
    for row in rows:
        pieces += [text[place : row.start], "x" * (row.end - row.start)]
        place = row.end
    return "".join([*pieces, text[place:]])


def _end(text: str, start: int, sections: list[int], size: int, overlap: int, least: int) -> tuple[int, int]:
    """Where the passage from `start` ends, and where the next begins."""
    limit = min(start + size, len(text))
    number = bisect.bisect_left(sections, start + least)
    if number < len(sections) and sections[number] <= limit:
        return sections[number], sections[number]
    if limit == len(text):
        return limit, limit
    half = start + size // 2
    end = next((ends[-1].end() for kind in ENDS if (ends := list(kind.finditer(text, half, limit)))), limit)
    shared = [match.end() for match in SENTENCE.finditer(text, max(end - overlap, start + 1), end)]
    return end, next((place for place in shared if place < end), end)
