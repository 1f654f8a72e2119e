"""Rows from the files people have: CSV and its kin, JSON, JSON Lines, or plain lines of text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_doc import Doc
from annotated_types import MinLen

from genarium import files
from genarium.data import delimited, encodings
from genarium.data.delimited import listed
from genarium.errors import BadInput, excerpt
from genarium.progress import note

PLAIN = "text"
"""The name of the only column of a file of plain lines."""
USUAL = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
"""Endings of tables, and what usually separates their columns."""
JSON_LINES = (".jsonl", ".ndjson")
OTHERS = (".xlsx", ".xls", ".ods", ".parquet", ".feather", ".arrow")
NAME_WORDS = 4
"""A column's name rarely has more words; a text rarely has fewer."""

Delimiter = Annotated[
    str | None,
    Doc("what is between the file's columns: comma, semicolon, tab, pipe or a character [default: found out]"),
    MinLen(1),
]
Encoding = Annotated[
    str | None, Doc("the file's encoding, as in cp1252 or gb18030 [default: by its mark, or UTF-8]"), MinLen(1)
]
NoHeader = Annotated[bool, Doc("the file's first line is a row already; columns are called 1, 2, …")]


@dataclass(frozen=True)
class How:
    """How a file is to be read, where that is said: see `Delimiter`, `Encoding` and `NoHeader`."""

    delimiter: str | None = None
    encoding: str | None = None
    header: bool = True

    @property
    def said(self) -> list[str]:
        """The names of what is said."""
        told = {"delimiter": self.delimiter, "encoding": self.encoding, "no_header": not self.header}
        return [name for name, value in told.items() if value]


AS_IT_LOOKS = How()


@dataclass(frozen=True)
class Table:
    """A file's rows, each as wide as `columns`; names may be there twice.

    Cells are text in CSV, any JSON value else, and None where an object has no such key. `numbers` are the rows'
    places in the file, whose first row or line is 1. `delimiter` is empty where there is none.
    """

    path: Path
    columns: list[str]
    rows: list[list[Any]]
    numbers: list[int]
    delimiter: str = ""
    marked: bool = False
    """Whether the file begins with a mark of its encoding."""
    header: bool = True
    """Whether the columns' names stand in a line of the file."""

    def place(self, name: str, way_out: str = "") -> int:
        """Where the column is: by its name as it stands, else by one that differs in case or outer spaces alone.

        Raises BadInput where it is not there, or there twice.
        """
        for alike in (str, lambda one: one.strip().casefold()):
            found = [place for place, one in enumerate(self.columns) if alike(one) == alike(name)]
            if len(found) > 1:
                raise BadInput(f"{self.path} has {len(found)} columns called {name!r}; give each a name of its own")
            if found:
                return found[0]
        known = ", ".join(map(str, self.columns)) or "none"
        raise BadInput(
            f"{self.path} has no column {name!r}; its columns are {known}" + (f"; {way_out}" if way_out else "")
        )

    def texts(self, name: str, way_out: str = "") -> list[str]:
        """A column as text; "" where a row has nothing there. Raises BadInput."""
        place = self.place(name, way_out)
        found = []
        for row, number in zip(self.rows, self.numbers, strict=True):
            if isinstance(row[place], list | dict):
                what = "a list" if isinstance(row[place], list) else "an object"
                raise BadInput(f"{self.path}, row {number}: {what} under {name!r}, where a text belongs")
            found.append("" if row[place] is None else self.as_read(str(row[place])))
        return found

    def as_read(self, cell: str) -> str:
        """A cell as models read it: line ends of a text file as \\n, halves of surrogate pairs, which JSON can hold
        and no encoding can, as the character that stands for what is lost."""
        text = cell.replace("\r\n", "\n").replace("\r", "\n") if self.delimiter else cell
        return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def cells(self, name: str) -> list[Any]:
        """A column as it is. Raises BadInput."""
        place = self.place(name)
        return [row[place] for row in self.rows]

    def dicts(self) -> list[dict[str, Any]]:
        """The rows by column name, without what they lack. Raises BadInput where two columns have one name."""
        if len(set(self.columns)) < len(self.columns):
            twice = next(name for name in self.columns if self.columns.count(name) > 1)
            self.place(twice)
        return [
            {name: cell for name, cell in zip(self.columns, row, strict=True) if cell is not None} for row in self.rows
        ]

    def with_columns(self, new: dict[str, list[Any]]) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows of the table and, after its own, of `new`; says where a name is taken already."""
        columns = list(self.columns)
        for name in new:
            free = name
            while free in columns:
                free = f"{name}_{int(free.removeprefix(name + '_')) + 1}" if free != name else f"{name}_2"
            if free != name:
                note(f"{self.path.name} has a column {name!r} already; the new one is called {free!r}")
            columns.append(free)
        behind = list(zip(*new.values(), strict=True))
        return columns, [[*row, *more] for row, more in zip(self.rows, behind, strict=True)]


def read_table(path: Path, how: How = AS_IT_LOOKS, *, usual: str | None = None) -> Table:
    """The file's rows; empty lines are left out. Its ending says what it is, `usual` what separates others' columns.

    Without `usual` a file of another ending has plain lines, unless a delimiter is said. Raises BadInput.
    """
    kind = path.suffix.lower()
    if kind in OTHERS:
        raise BadInput(f"{path}: {kind} files are not read here; save it as CSV (UTF-8) or JSON Lines")
    text, marked = _decoded(path, how.encoding)
    if kind == ".json" or kind in JSON_LINES:
        if wrong := [name for name in how.said if name != "encoding"]:
            raise BadInput(f"{path} is JSON, whose columns have names and no delimiter; leave out {wrong[0]}")
        return _from_objects(path, _json_rows(text, path) if kind == ".json" else _json_lines(text, path), marked)
    usual = USUAL.get(kind, usual) or (None if how.delimiter is None else ",")
    if usual is None:
        kept = list(_lines(text))
        return Table(path, [PLAIN], [[line] for _, line in kept], [n for n, _ in kept], marked=marked, header=False)
    found = delimited.parse(text, str(path), usual=usual, delimiter=how.delimiter, header=how.header)
    return Table(path, found.columns, found.rows, found.numbers, found.delimiter, marked, how.header)


def require_rows(table: Table) -> Table:
    """The same table. Raises BadInput where it has no rows."""
    if not table.rows:
        raise BadInput(f"{table.path} has no rows; name a file with some")
    return table


def pick(table: Table, name: str | None, *, fallback: str = PLAIN) -> str:
    """The name of the column that is meant: the one named, the only one, or the one called `fallback`.

    Raises BadInput where that is unclear, or where the only name looks like a row, which would be lost.
    """
    require_rows(table)
    if name is not None:
        return table.columns[table.place(name, "a first line that is a row already needs no_header")]
    if len(table.columns) == 1:
        only = str(table.columns[0])
        if table.header and table.delimiter and only.strip().casefold() != fallback:
            _doubt_header(table, only)
        return only
    if fallback.casefold() not in [str(one).strip().casefold() for one in table.columns]:
        named = "; or is the first line a row already? Then say no_header" if table.delimiter and table.header else ""
        raise BadInput(
            f"{table.path} has the columns {', '.join(table.columns)}; say with column which one is meant{named}"
        )
    return table.columns[table.place(fallback)]


def _doubt_header(table: Table, only: str) -> None:
    """The first line of a file with one column may be its name or a text. Raises BadInput where it looks like one."""
    if len(only.split()) > NAME_WORDS or only.rstrip().endswith((".", "!", "…")) or only in (r[0] for r in table.rows):
        raise BadInput(
            f"is the first line of {table.path}, {excerpt(only)!r}, a row or the column's name? Say no_header, or name "
            "it with column"
        )
    note(
        f"the first line of {table.path.name}, {only!r}, is taken for the column's name; if it is a row, say no_header"
    )


@dataclass(frozen=True)
class Given:
    """What a call is about: texts, and the table they are a column of, row by row."""

    texts: list[str]
    table: Table


def given(
    texts: Sequence[str] | None,
    file: Path | None,
    name: str | None,
    how: How = AS_IT_LOOKS,
    *,
    what: str = "texts",
    of_empty: str = "what is said of them means nothing",
) -> Given:
    """The texts themselves, or one column of a file. Says which are empty, and `of_empty` what comes of that.

    Raises BadInput where both are given, neither is, or all are empty.
    """
    if file is not None and texts:
        raise BadInput(f"{what} were given and a file as well; give one of them")
    if file is None:
        if not texts:
            raise BadInput(f"no {what}; give some, or name a file")
        if name is not None or how.said:
            option = "column" if name is not None else how.said[0]
            raise BadInput(f"{option} says how a file is read; name the file as well")
        found = list(texts)
        table = Table(Path(), [PLAIN], [[text] for text in found], list(range(1, len(found) + 1)))
    else:
        table = read_table(file, how)
        found = table.texts(pick(table, name))
    empty = [number for text, number in zip(found, table.numbers, strict=True) if not text.strip()]
    if len(empty) == len(found):
        raise BadInput(f"every row of {file} is empty there; name another column" if file else f"all {what} are empty")
    if empty:
        note(f"{len(empty)} of {len(found)} {what} are empty ({listed(empty)}); {of_empty}")
    return Given(found, table)


def _decoded(path: Path, encoding: str | None) -> tuple[str, bool]:
    """The file's text, line ends as they are, and whether it begins with a mark of its encoding. Raises BadInput."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"can't read {path}: {files.reason(error)}") from None
    marked = any(content.startswith(mark) for mark, _ in encodings.MARKS)
    if encoding is None and not marked and b"\0" not in content and _is_utf8(content):
        return content.decode("utf-8"), False
    try:
        found = encodings.decode(content, encoding)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    shown = encodings.shown(found.encoding)
    if found.lost:
        raise BadInput(f"{path} is not {shown} throughout: {found.lost} characters can't be read; say its encoding")
    if found.guessed:
        note(f"{path.name} is not UTF-8, and is read as {shown}; if that is wrong, say its encoding")
    if encoding is not None and not found.encoding.startswith("utf") and _is_utf8(content) and not content.isascii():
        note(f"{path.name} is valid UTF-8, but is read as {shown}, as asked")
    return found.text, marked


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, numbered from 1."""
    return ((number, line) for number, line in enumerate(re.split("\r\n|\r|\n", text), 1) if line.strip())


def _json_lines(text: str, path: Path) -> list[tuple[int, Any]]:
    return [(number, _parsed(line, path, f"line {number}")) for number, line in _lines(text)]


def _json_rows(text: str, path: Path) -> list[tuple[int, Any]]:
    """A JSON file that is a list of objects."""
    rows = _parsed(text, path, "")
    if not isinstance(rows, list):
        raise BadInput(f'{path} is no list of rows; it is written like [{{"text": …}}, …]')
    return list(enumerate(rows, 1))


def _parsed(text: str, path: Path, where: str) -> Any:
    at = f"{path}, {where}" if where else str(path)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            raise BadInput(f"{at}: {next(n for n in names if names.count(n) > 1)!r} is there twice in one object")
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except RecursionError:
        raise BadInput(f"{at}: nested too deeply; put one flat JSON object on each line") from None
    except BadInput:
        raise
    except ValueError as error:
        way_out = "put one JSON object on each line" if where else "write a list of objects, or JSON Lines (.jsonl)"
        raise BadInput(f"{at}: not JSON ({error}); {way_out}") from None


def _from_objects(path: Path, found: list[tuple[int, Any]], marked: bool) -> Table:
    for number, row in found:
        if not isinstance(row, dict):
            raise BadInput(f'{path}, row {number}: {type(row).__name__} where an object belongs, as in {{"text": …}}')
    columns = list(dict.fromkeys(name for _, row in found for name in row))
    rows = [[row.get(name) for name in columns] for _, row in found]
    return Table(path, columns, rows, [number for number, _ in found], marked=marked, header=False)
