"""A document cut into passages: at its sections first, then paragraphs, then sentences, then words."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass

from genarium.retrieval.documents import Document

SIZE, OVERLAP, LEAST = 800, 120, 200
"""Characters: the longest passage, about what the encoder reads at once (256 tokens); the most that two share;
and below which a section does not stand alone."""

# From strong to weak. A passage ends behind the last match of the strongest kind found in its second half.
ENDS = (re.compile(r"\n[ \t]*\n\s*"), re.compile(r"[.!?:;][\"'”’)\]]*\s+"), re.compile(r"\n"), re.compile(r"\s+"))
SENTENCE = ENDS[1]


@dataclass(frozen=True)
class Passage:
    """`document.text[start:end]` is `text`. `page` counts from 1; None where the file has no pages."""

    start: int
    end: int
    text: str
    heading: str = ""
    page: int | None = None


def passages(document: Document, *, size: int = SIZE, overlap: int = OVERLAP, least: int = LEAST) -> Iterator[Passage]:
    """The document's passages in order: together they hold every character but white space, none begins or ends
    with white space, and none is longer than `size`. Neighbours inside a section share up to `overlap` characters
    of whole sentences.
    """
    text = document.text
    sections = [section.start for section in document.sections]
    start = 0
    while start < len(text):
        end, next_start = _end(text, start, sections, size, overlap, least)
        piece = text[start:end]
        first = start + len(piece) - len(piece.lstrip())
        if shown := piece.strip():
            heading, page = document.heading(first), document.page(first)
            yield Passage(first, first + len(shown), shown, heading, page)
        start = next_start


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
