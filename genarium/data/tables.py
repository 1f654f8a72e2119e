"""Rows from the files people have: CSV and TSV with a header, JSON Lines, or plain lines of text."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genarium.data.text import read
from genarium.errors import BadInput
from genarium.progress import note

PLAIN = "text"
"""The name of the only column of a file of plain lines."""


def read_table(path: Path) -> list[dict[str, Any]]:
    """The file's rows by column name; empty lines are left out. The ending says what it is. Raises BadInput."""
    text = read(path).removeprefix("\ufeff")
    kind = path.suffix.lower()
    if kind in (".csv", ".tsv"):
        return _from_csv(text, path, "\t" if kind == ".tsv" else ",")
    if kind in (".jsonl", ".ndjson"):
        return [_from_json(line, path, n) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    return [{PLAIN: line} for line in text.split("\n") if line.strip()]


def column(rows: Sequence[dict[str, Any]], name: str | None, path: Path, *, fallback: str = PLAIN) -> list[str]:
    """One column as text. Without a name: the only column, or the one called `fallback`. Raises BadInput."""
    if not rows:
        raise BadInput(f"{path} has no rows; name a file with some")
    there = list(rows[0])
    if name is None:
        if len(there) > 1 and fallback not in there:
            raise BadInput(f"{path} has the columns {', '.join(there)}; say which one is meant with --column")
        name = there[0] if len(there) == 1 else fallback
    for number, row in enumerate(rows, 1):
        if row.get(name) is None:
            what = f"has no column {name!r}" if name not in there else f"has nothing under {name!r} in row {number}"
            raise BadInput(f"{path} {what}; its columns are {', '.join(there)}")
    return [str(row[name]) for row in rows]


def given(texts: Sequence[str] | None, file: Path | None, name: str | None, *, what: str = "texts") -> list[str]:
    """What a call is about: the texts themselves, or one column of a file. Says which rows are empty.

    Raises BadInput where both are given or neither is.
    """
    if file is None:
        if not texts:
            raise BadInput(f"no {what}; give some, or name a file with --file")
        if name is not None:
            raise BadInput("--column names a column of a file; name the file with --file")
        return list(texts)
    if texts:
        raise BadInput(f"{what} were given and a file as well; give one of them")
    found = column(read_table(file), name, file)
    empty = [number for number, text in enumerate(found, 1) if not text.strip()]
    if len(empty) == len(found):
        raise BadInput(f"every row of {file} is empty there; name another --column")
    if empty:
        rows = ", ".join(map(str, empty[:5])) + (", …" if len(empty) > 5 else "")
        note(f"{len(empty)} of {len(found)} {what} are empty (row {rows}); what is said of them means nothing")
    return found


def _from_csv(text: str, path: Path, separator: str) -> list[dict[str, Any]]:
    csv.field_size_limit(sys.maxsize)  # a text may be longer than the module's 128 KiB
    reader = csv.DictReader(io.StringIO(text), delimiter=separator, strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise BadInput(f"{path}, line {reader.line_num}: not CSV ({error}); save it again as CSV") from None
    for number, row in enumerate(rows, 2):
        if None in row:
            raise BadInput(f"{path}, row {number}: more values than the header has names; put quotes around commas")
    return rows


def _from_json(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BadInput(f"{path}, line {number}: not JSON ({error}); put one JSON object on each line") from None
    if not isinstance(row, dict):
        raise BadInput(f'{path}, line {number}: {type(row).__name__} where an object belongs, as in {{"text": …}}')
    return row
