"""What an index keeps of a file, and a passage of it that was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from genarium.retrieval.document import TableRow
from genarium.retrieval.passages import Passage, searched


@dataclass(frozen=True)
class Kept:
    """A file as it was indexed. `problem` says why it was left out, and is empty where it was not; `notes` what of
    it could not be read, a line each.
    """

    path: str
    size: int
    mtime: int
    sha256: str
    problem: str = ""
    notes: str = ""


@dataclass(frozen=True)
class Hit:
    """A passage that was found: in which file (relative to the index's folder), and where in its text. `id` is a number
    in its index; `index` says which that is, and is empty where only one was asked.
    """

    id: int
    file: str
    start: int
    end: int
    page: int | None
    context: str
    text: str
    rows: list[TableRow] = field(default_factory=list)
    index: str = ""

    @property
    def searched(self) -> str:
        """The text as models read it: rows of tables with their headings, no sign that hides a word."""
        return searched(self.text, self.rows)


def packed(passage: Passage) -> str | None:
    """A passage's rows as JSON: start, end and, where it is another than the text there, how it reads."""
    rows = [
        [row.start, row.end] + [row.reading] * (row.reading != passage.text[row.start : row.end])
        for row in passage.rows
    ]
    return json.dumps(rows, ensure_ascii=False) if rows else None


def unpacked(row: Sequence[Any]) -> Hit:
    """A row of `passages` with its file's path: number, path, start, end, page, context, text, and the table's rows."""
    number, path, start, end, page, context, text, packed = row
    rows = [
        TableRow(one[0], one[1], one[2] if len(one) > 2 else text[one[0] : one[1]])
        for one in json.loads(packed or "[]")
    ]
    return Hit(number, path, start, end, page, context, text, rows)
