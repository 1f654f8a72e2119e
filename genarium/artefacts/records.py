"""A table of results: one row for each text, question or passage that was asked about."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

from genarium.artefacts.artefact import Artefact
from genarium.rows import line


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

    def content(self) -> bytes:
        return b"".join(line(row) for row in self.rows)

    def as_csv(self) -> str:
        """The rows as CSV; a value that is a list or an object is written as JSON."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        out = io.StringIO()
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            nested = {k: json.dumps(v, ensure_ascii=False) for k, v in row.items() if isinstance(v, list | dict)}
            writer.writerow(row | nested)
        return out.getvalue()

    def as_file(self, suffix: str) -> bytes:
        return self.as_csv().encode("utf-8", errors="replace") if suffix == ".csv" else self.content()

    def facts(self) -> dict[str, Any]:
        return {"count": len(self.rows), "summary": self.summary, **self.extra}

    def as_json(self) -> dict[str, Any]:
        return self.facts() | {"rows": self.rows}

    def title(self) -> str:
        return " ".join((self.summary or self.shown or self.content().decode()).split())

    def __str__(self) -> str:
        body = self.shown or self.content().decode().rstrip("\n")
        return f"{body}\n{self.summary}" if self.summary else body
