"""A table of results: one row for each text, question or passage that was asked about."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from genarium.artefacts.artefact import Artefact
from genarium.rows import line

QUOTED = re.compile(r'[,;\t|"\r\n]|^\s|\s$')
"""Cells that are quoted: more than must be, so that whoever finds out what separates the columns finds it."""
QUOTED_BETWEEN_TABS = re.compile(r'[\t"\r\n]')
"""Between tabs quotes are few, as they often are part of the text there."""


@dataclass(kw_only=True)
class Records(Artefact):
    """`rows` are JSON objects in the order they were asked; `summary` says what they come to, in a sentence.

    The file is JSON Lines. Times of single rows belong in `stats`, since bytes depend on the recipe alone.
    """

    kind: ClassVar[str] = "records"
    suffix: ClassVar[str] = ".jsonl"
    media_type: ClassVar[str] = "application/jsonl"

    rows: list[dict[str, Any]]
    summary: str = ""
    shown: str = ""
    """How a person wants to read it in a terminal; the rows themselves where it is empty."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Counts and other figures over all rows."""
    columns: list[str] | None = None
    """Of the table that `.csv` and `.tsv` are, with a row of `cells` each; None where it is what `rows` hold."""
    cells: list[list[Any]] = field(default_factory=list)
    delimiter: str = ","
    """What stands between the columns of a `.csv`."""
    marked: bool = False
    """Whether a `.csv` begins with UTF-8's mark, which Excel knows it by."""

    def content(self) -> bytes:
        return b"".join(line(row) for row in self.rows)

    def as_csv(self, delimiter: str = ",") -> str:
        """The table as CSV; a value that is a list or an object is written as JSON."""
        columns, cells = self.columns, self.cells
        if columns is None:
            columns = list(dict.fromkeys(name for row in self.rows for name in row))
            cells = [[row.get(name) for name in columns] for row in self.rows]
        return csv_of([columns, *cells], delimiter)

    @classmethod
    def formats(cls) -> tuple[str, ...]:
        return (cls.suffix, ".csv", ".tsv")

    def as_file(self, suffix: str) -> bytes:
        match suffix.lower():
            case ".csv":
                mark = "\ufeff" if self.marked else ""
                return (mark + self.as_csv(self.delimiter)).encode("utf-8", errors="replace")
            case ".tsv":
                return self.as_csv("\t").encode("utf-8", errors="replace")
        return self.content()

    def facts(self) -> dict[str, Any]:
        return {"count": len(self.rows), "summary": self.summary, **self.extra}

    def as_json(self) -> dict[str, Any]:
        return self.facts() | {"rows": self.rows}

    def title(self) -> str:
        return " ".join((self.summary or self.shown or self.content().decode()).split())

    def __str__(self) -> str:
        body = self.shown or self.content().decode().rstrip("\n")
        return f"{body}\n{self.summary}" if self.summary else body


def csv_of(rows: Iterable[Sequence[Any]], delimiter: str) -> str:
    """Rows of cells as CSV (RFC 4180, with \\n after each row)."""
    needs = QUOTED_BETWEEN_TABS if delimiter == "\t" else QUOTED

    def cell(value: Any) -> str:
        text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return '"' + text.replace('"', '""') + '"' if needs.search(text) or delimiter in text else text

    return "".join((delimiter.join(map(cell, row)) or '""') + "\n" for row in rows)
