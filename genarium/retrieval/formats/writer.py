"""Text put together in pieces, with the places of headings, pages and rows of tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

from genarium.retrieval.document import HEADING_LEVELS, MAX_TEXT, Document, Section, TableRow, Unreadable, joined
from genarium.retrieval.formats.grid import Grid


class Writer:
    """`add` is given text, `gap` ends lines, `table` writes rows that keep their headings."""

    def __init__(self, title: str = "") -> None:
        self.pieces: list[str] = []
        self.length = 0
        self.sections: list[Section] = []
        self.pages: list[int] = []
        self.rows: list[TableRow] = []
        self.notes: list[str] = []
        self.above = [""] * HEADING_LEVELS
        self.title = title

    def add(self, piece: str) -> None:
        if not piece:
            return
        self.pieces.append(piece)
        self.length += len(piece)
        if self.length > MAX_TEXT:
            raise Unreadable(f"more than {MAX_TEXT // 10**6} million characters of text; split it")

    def gap(self, wanted: str) -> None:
        """Line ends after what was written, as many as `wanted`, not more."""
        if not self.length or not wanted:
            return
        while self.pieces and not self.pieces[-1].strip(" "):  # blanks at a line's end
            self.length -= len(self.pieces.pop())
        if not self.pieces:
            return
        if (kept := self.pieces[-1].rstrip(" ")) != self.pieces[-1]:
            self.length -= len(self.pieces[-1]) - len(kept)
            self.pieces[-1] = kept
        tail = "".join(self.pieces[-2:])
        there = len(tail) - len(tail.rstrip("\n"))
        self.add(wanted[there:])

    def head(self, start: int, level: int, heading: str) -> None:
        """The text from `start` stands under this heading, and those of higher levels before it."""
        level = min(max(level, 1), HEADING_LEVELS)
        self.above[level - 1 :] = [" ".join(heading.split()), *[""] * (HEADING_LEVELS - level)]
        named = self.above[0] and self.above[0].lower() in self.title.lower()
        self.sections.append(Section(start, joined(self.above if named else [self.title, *self.above])))

    def table(self, grid: Grid) -> None:
        """A table's rows, a line each, between blank lines."""
        self.gap("\n\n")
        for line in grid.lines():
            self.row(line)
        self.gap("\n\n")

    def row(self, line: str) -> None:
        """One row, which is quoted whole."""
        line = " ".join(line.split())
        if line:
            self.rows.append(TableRow(self.length, self.length + len(line), line))
            self.add(line)
            self.gap("\n")

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def ends_word(self) -> bool:
        return bool(self.pieces) and not self.pieces[-1][-1:].isspace()

    def since(self, length: int) -> str:
        """What was written after so many characters."""
        place, kept = self.length, list[str]()
        for piece in reversed(self.pieces):
            if place <= length:
                break
            place -= len(piece)
            kept.append(piece)
        return "".join(reversed(kept))[max(0, length - place) :]

    def document(self) -> Document:
        """The document. Its pages are left out where there is only one."""
        sections = sorted(self.sections, key=lambda section: section.start)  # one inside another ends first
        if self.title and (not sections or sections[0].start > 0):
            sections = [Section(0, self.title), *sections]
        pages = self.pages if len(self.pages) > 1 else []
        return Document("".join(self.pieces), sections, pages, self.rows, self.notes)


def spaced(text: str) -> str:
    """White space as one blank, as a page shows it; a no-break space stays one."""
    return re.sub(r"[ \t\n\r\f]+", " ", text)


def flat(parts: Sequence[str]) -> str:
    """Parts of a cell on one line."""
    return " ".join(" ".join(part.split()) for part in parts if part.strip())
