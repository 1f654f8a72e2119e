"""Tables in text: CSV and its kin. What separates the columns is read off the file, or refused where it is unclear."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from genarium.errors import BadInput
from genarium.progress import note

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "\\t": "\t"}
SAMPLE = 256 * 1024
"""Characters that are looked at to find the delimiter."""
NUMBER = re.compile(r"[-+]?[\d.\s\u00a0\u202f']*,\d+\s*[%€$£]?|[-+]?\d{1,3}(,\d{3})+(\.\d+)?")
"""A number with a comma in it: 12,50 or 1,234.5."""
CELL = r'"(?:[^"]|"")*+"'
"""A cell in quotes."""
QUOTED = re.compile(rf"(^|[,;\t|]){CELL}(?=[,;\t|\r\n]|\Z)", re.MULTILINE)
HEADER = re.compile(rf"\s*{CELL}(?:\t{CELL})*+(?=[\r\n]|\Z)")
ALL_QUOTED = re.compile(rf"(?:{CELL}|[\t\r\n])*+")
ENOUGH = 0.5
"""The share of rows that a delimiter splits as it splits the first one, without which it is none."""


@dataclass(frozen=True)
class Delimited:
    """`rows` are as wide as `columns`; `numbers` are their places in the file, whose first row is 1."""

    columns: list[str]
    rows: list[list[str]]
    numbers: list[int]
    delimiter: str


def parse(
    text: str,
    name: str,
    *,
    usual: str = ",",
    delimiter: str | None = None,
    header: bool = True,
    strict: bool = True,
) -> Delimited:
    """The table in a text; `name` is what messages call it.

    Without a `delimiter` it is the one of `DELIMITERS` that splits all rows alike, else the `usual` one. Cells are as
    they stand there, quotes around them and doubled ones in them resolved. Without a header the columns are called
    1, 2, … A shorter row is filled up with empty cells, which a note says.
    Not `strict`, everything is read somehow, nothing is lost and nothing is said: a longer row adds columns without
    a name, broken quotes are part of the text.
    Raises BadInput.
    """
    csv.field_size_limit(sys.maxsize)  # a text may be longer than the module's 128 KiB
    chosen = named(delimiter) if delimiter is not None else _found(text, name, usual, header=header, strict=strict)
    records, numbers = _records(text, name, chosen, strict=strict, header=header)
    if not records:
        return Delimited([], [], [], chosen)
    widest = max(map(_width, records))
    # A column without a name is one where a cell has something in it: spreadsheets leave empty ones behind.
    width = max(1, _width(records[0]), min(len(records[0]), widest) if strict else widest)
    if strict:
        _require_width(records, numbers, width, name, header=header)
    short = [number for number, record in zip(numbers, records, strict=True) if len(record) < width]
    if strict and short:
        than = "the header" if header else "the first row"
        note(f"{name}: fewer cells than {than} in {listed(short)}; what is lacking is taken as empty")
    rows = [row if len(row) == width else [*row[:width], *[""] * (width - len(row))] for row in records]
    if not header:
        return Delimited([str(number + 1) for number in range(width)], rows, numbers, chosen)
    return Delimited(rows[0], rows[1:], numbers[1:], chosen)


def named(delimiter: str) -> str:
    """A delimiter by its name or as itself. Raises BadInput."""
    one = NAMED.get(delimiter.strip().lower(), delimiter)
    if len(one) != 1 or one in '"\r\n':
        raise BadInput(f"delimiter must be one character, or comma, semicolon, tab or pipe; got {delimiter!r}")
    return one


def listed(numbers: Sequence[int], most: int = 5) -> str:
    """'row 3' or 'rows 3, 5, …'."""
    shown = ", ".join(map(str, numbers[:most])) + (", …" if len(numbers) > most else "")
    return f"row{'s' * (len(numbers) > 1)} {shown}"


def _found(text: str, name: str, usual: str, *, header: bool, strict: bool) -> str:
    """The delimiter that splits the rows alike. Raises BadInput where several do and nothing speaks for one."""
    tables, alike = dict[str, list[list[str]]](), dict[str, float]()
    # What is in quotes separates nothing, whichever sign does.
    lines = [line for line in re.split(r"\r\n|\r|\n", QUOTED.sub(r"\1_", text[:SAMPLE])) if line.strip()]
    lines = lines[:-1] if len(text) > SAMPLE and len(lines) > 1 else lines
    for one in DELIMITERS:
        rows = [line.split(one) for line in lines]
        if rows and (width := _width(rows[0])) > 1:
            fitting = sum(_width(row) <= width <= len(row) for row in rows) / len(rows)
            if fitting >= ENOUGH:
                tables[one], alike[one] = rows, fitting
    # A text has commas, semicolons and bars by chance, tabs hardly ever.
    best = ["\t"] if "\t" in alike else [one for one, share in alike.items() if share == max(alike.values())]
    if len(best) == 2 and "," in best:
        # In 12,50 the comma is a part of the number: where all commas are, they separate nothing else.
        (other,) = (one for one in best if one != ",")
        best = [other] if _commas_are_in_numbers(tables[other][header:]) else best
    if len(best) > 1 and strict:
        ways = " or ".join(DELIMITERS[one] for one in best)
        raise BadInput(f"{name} can be read with {ways} between its columns; say which is meant with delimiter")
    chosen = best[0] if len(best) == 1 else usual
    if chosen != usual and strict:
        note(f"{name} is read with {DELIMITERS[chosen]} between its columns")
    return chosen


def _commas_are_in_numbers(rows: Sequence[Sequence[str]]) -> bool:
    return all(NUMBER.fullmatch(cell.strip()) for row in rows for cell in row if "," in cell)


def _records(text: str, name: str, delimiter: str, *, strict: bool, header: bool) -> tuple[list[list[str]], list[int]]:
    """The rows that are not blank, and their numbers. Raises BadInput."""
    if '"' not in text:
        return _split(text, name, delimiter, quoted=False)
    try:
        found = _split(text, name, delimiter, quoted=True)
    except BadInput:
        # Between tabs quotes often are part of the text.
        if strict and delimiter != "\t":
            raise
        return _split(text, name, delimiter, quoted=False)
    if delimiter == "\t" and not _quotes_hold_cells(text, header=header):
        return _split(text, name, delimiter, quoted=False)
    return found


def _split(text: str, name: str, delimiter: str, *, quoted: bool) -> tuple[list[list[str]], list[int]]:
    written = io.StringIO(text, newline="")
    reader = csv.reader(
        written, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE, strict=True
    )
    records, numbers = list[list[str]](), list[int]()
    number, line = 0, 0
    try:
        for number, record in enumerate(reader, 1):
            line = reader.line_num
            # A line of spaces is a row only where every row is one cell.
            if record and not (len(record) == 1 and record[0].isspace() and (not records or len(records[0]) > 1)):
                records.append(record)
                numbers.append(number)
    except csv.Error as error:
        what = "a quote begins there and never ends" if "unexpected end" in str(error) else str(error)
        where = f"row {number + 1}" + (f" (line {line + 1})" if line != number else "")
        raise BadInput(f'{name}, {where}: not CSV ({what}); within quotes, a quote is written twice: ""') from None
    return records, numbers


def _quotes_hold_cells(text: str, *, header: bool) -> bool:
    """Whether quotes in a table with tabs are around its cells, as a spreadsheet writes them, and not part of them.

    They are where all of the header's names are quoted, or all cells, or each quoted cell needs it: for a tab, a line
    end or a doubled quote in it.
    """
    if (header and HEADER.match(text)) or ALL_QUOTED.fullmatch(text):
        return True
    cells = [match[0][:-1].partition('"')[2] for match in QUOTED.finditer(text)]
    return bool(cells) and all(not cell or any(sign in cell for sign in '\t\r\n"') for cell in cells)


def _width(record: Sequence[str]) -> int:
    """How many cells there are up to the last that is not empty."""
    if record and record[-1]:
        return len(record)
    return next((place for place in range(len(record), 0, -1) if record[place - 1]), 0)


def _require_width(
    records: Sequence[Sequence[str]], numbers: Sequence[int], width: int, name: str, *, header: bool
) -> None:
    """Raises BadInput where a row has more cells than the first one has."""
    for number, record in zip(numbers, records, strict=True):
        if len(record) > width and (found := _width(record)) > width:
            than = "the header has names" if header else "the first row has"
            shown = " | ".join(" ".join(cell.split()) for cell in record)
            raise BadInput(
                f"{name}, row {number}: {found} cells, more than {than} ({width}): "
                f"{shown if len(shown) <= 60 else shown[:59] + '…'}; put quotes around a text that has the delimiter "
                "in it, or say another delimiter"
            )
