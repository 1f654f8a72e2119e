"""What a document is once it is text: its sections, pages and rows, whatever file it came from."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, field

from genarium.errors import BadInput

MAX_TEXT = 50_000_000
"""Characters. A file that unpacks to more is skipped."""
HEADING_LEVELS = 6


class Unreadable(BadInput):
    """A file that can't be indexed; the message says why, and is listed beside its name."""


@dataclass(frozen=True)
class Section:
    """Where it begins, in characters, and its heading with those above it: `Install › From source`."""

    start: int
    heading: str


@dataclass(frozen=True)
class TableRow:
    """`text[start:end]` is a row of a table; `reading` is what it says with the headings of its columns."""

    start: int
    end: int
    reading: str


@dataclass(frozen=True)
class Document:
    """`sections`, `pages` and `rows` are in order; `pages` holds where each page begins, and is empty where there are
    none. `notes` say what of the file is not in the text.
    """

    text: str
    sections: list[Section] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    rows: list[TableRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def page(self, place: int) -> int | None:
        """The page, from 1, that the character at `place` stands on."""
        return bisect.bisect_right(self.pages, place) if self.pages else None

    def heading(self, place: int) -> str:
        """The heading that the character at `place` stands under."""
        number = bisect.bisect_right(self.sections, place, key=lambda section: section.start)
        return self.sections[number - 1].heading if number else ""


def joined(headings: list[str]) -> str:
    """A heading with those above it."""
    return " › ".join(heading for heading in headings if heading)


def line_starts(text: str) -> list[int]:
    """Where each line begins."""
    # Lines as Markdown and Python count them: str.splitlines knows more line ends.
    return [0, *(match.end() for match in re.finditer("\n", text))]
