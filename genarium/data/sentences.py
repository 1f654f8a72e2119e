"""Where a text's sentences are.

The boundaries are sentencex's (Wikimedia; about 300 languages, rules for quotes and abbreviations, exact positions).
Its search for the other end of a quotation takes the square of what it is given, so it is given a paragraph at a
time, and of a paragraph without end no more than `LONGEST` characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 4_000


def sentences(text: str, language: str = "en") -> list[tuple[int, int]]:
    """Character ranges of the sentences, in order, white space around them left out. `language` is ISO 639-1."""
    return list(each_sentence(text, language))


def each_sentence(text: str, language: str = "en") -> Iterator[tuple[int, int]]:
    """The same one by one: of a long text no more is looked at than its next paragraph."""
    from sentencex import get_sentence_boundaries

    for start, end in _paragraphs(text):
        for boundary in get_sentence_boundaries(language, text[start:end]):
            said = boundary["text"]
            if stripped := said.strip():
                first = start + boundary["start_index"] + len(said) - len(said.lstrip())
                yield first, first + len(stripped)


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """What stands between blank lines, cut at white space where it is longer than `LONGEST`."""
    start = 0
    for blank in [*re.finditer(r"\n[^\S\n]*\n", text), None]:
        end = len(text) if blank is None else blank.start()
        while end - start > LONGEST:
            gap = max(text.rfind(space, start, start + LONGEST) for space in (" ", "\n"))
            cut = gap if gap > start else start + LONGEST
            yield start, cut
            start = cut
        yield start, end
        start = end if blank is None else blank.end()
