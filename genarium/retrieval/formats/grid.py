"""A table as rows that keep their headings: "Plot: 9; Holder: Ada Byron".

A passage from the middle of a table tells nothing without its headings, so each row has them. Nothing is left out:
a heading that no row mentions is written in a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_COLUMNS, MOST_LAID = 1000, 2_000_000
"""Of a cell that claims to span more columns no more is believed, and of a table beyond so many cells no span."""
VALUE = re.compile(r"[^\w]*\d[\d.,:/\s%€$£-]*\w{0,3}[^\w]*|\S+@\S+\.\w+|https?://\S+")
LONG = 60


@dataclass(frozen=True)
class GridCell:
    """A cell's text, and how many columns and rows it spans; `heading` where the file says that it is one, `bold`
    where it only looks like one.
    """

    text: str
    columns: int = 1
    rows: int = 1
    heading: bool = False
    bold: bool = False


@dataclass
class Grid:
    """A table as its file has it: rows of cells in order. `headings` rows of it are headings; None: as they look."""

    rows: list[list[GridCell]] = field(default_factory=list)
    headings: int | None = None
    caption: str = ""

    def lines(self) -> Iterator[str]:
        """The caption, then each row on a line: `heading: text` for every cell that holds something, `; ` between."""
        if self.caption:
            yield self.caption
        laid = self._laid()
        count = self._heading_rows(laid)
        names = _names(laid[:count])
        if count and count == len(laid):
            yield from ("; ".join(cell.text for cell in _once(row)) for row in laid)
            return
        told = set[str]()
        lines = []
        for row in laid[count:]:
            said, used = _line(row, names)
            told |= used
            lines += [said] * bool(said)
        if missing := [name for name in names if name and name not in told]:
            yield "; ".join(dict.fromkeys(missing))
        yield from lines

    def _laid(self) -> list[list[GridCell | None]]:
        """Each row's cells by column, a cell that spans several in each of them."""
        laid: list[list[GridCell | None]] = []
        waiting: dict[int, tuple[GridCell, int]] = {}  # cells of rows above that reach down
        total = 0
        for row in self.rows:
            total += max(len(row), len(laid[-1]) if laid else 0)
            waiting = waiting if total < MOST_LAID else {}
            line: list[GridCell | None] = []
            below = dict[int, tuple[GridCell, int]]()
            cells = iter(row)
            column = 0
            cell = next(cells, None)
            while cell is not None or any(place >= column for place in waiting):
                if column in waiting:
                    above, left = waiting[column]
                    line.append(above)
                    if left > 1:
                        below[column] = (above, left - 1)
                    column += 1
                elif cell is None:
                    line.append(None)
                    column += 1
                else:
                    spanned = cell.columns if column < MOST_COLUMNS and total < MOST_LAID else 1
                    for _ in range(min(max(spanned, 1), MOST_COLUMNS)):
                        line.append(cell)
                        if cell.rows > 1:
                            below[column] = (cell, cell.rows - 1)
                        column += 1
                    cell = next(cells, None)
            waiting = below
            laid.append(line)
        return [line for line in laid if any(cell is not None and cell.text for cell in line)]

    def _heading_rows(self, laid: list[list[GridCell | None]]) -> int:
        if self.headings is not None:
            return min(self.headings, len(laid))
        marked = 0
        for row in laid:
            if not all(cell is None or cell.heading or not cell.text for cell in row):
                break
            marked += 1
        if marked == len(laid) and marked > 1:
            return 1
        if any(cell is not None and cell.heading for row in laid[marked:] for cell in row):
            return marked  # it says itself what is a heading
        if not marked and len(laid) > 1 and _is_bold(laid[0]) and not _is_bold(laid[1]):
            return 1
        return marked or int(_looks_like_headings([[cell.text if cell else "" for cell in row] for row in laid]))


def _is_bold(row: list[GridCell | None]) -> bool:
    return all(cell.bold for cell in row if cell is not None and cell.text)


def is_value(text: str) -> bool:
    """Whether it is a number, a date, an address or a long text, and so no heading."""
    return bool(VALUE.fullmatch(text.strip())) or len(text) > LONG


def _looks_like_headings(rows: list[list[str]]) -> bool:
    """Whether the first row names what the others hold: short words, and numbers under them, or three columns."""
    if len(rows) < 2 or len(rows[0]) < 2:
        return False
    first = [text.strip() for text in rows[0]]
    if sum(not text for text in first) > 1 or len(set(first)) < len(first):
        return False
    if any(is_value(text) or text.endswith(":") for text in first if text):
        return False
    if len(first) > 2:
        return True
    columns = zip(*(row for row in rows[1:] if len(row) == len(first)), strict=True)
    return any(texts and all(is_value(text) for text in texts if text) and any(texts) for texts in columns)


def _names(rows: list[list[GridCell | None]]) -> list[str]:
    """A name for each column: its headings from above, each once."""
    width = max(map(len, rows), default=0)
    names = []
    for column in range(width):
        parts = [row[column].text for row in rows if column < len(row) and row[column] is not None]  # type: ignore[union-attr]
        names.append(" ".join(dict.fromkeys(part.strip().rstrip(":") for part in parts if part.strip())))
    return names


def _once(row: list[GridCell | None]) -> list[GridCell]:
    """The row's cells that hold something, each once."""
    return list({id(cell): cell for cell in row if cell is not None and cell.text}.values())


def _line(row: list[GridCell | None], names: list[str]) -> tuple[str, set[str]]:
    """One row with its headings, and which of them it mentions."""
    above: dict[int, list[str]] = {}
    for column, cell in enumerate(row):
        if cell is not None and cell.text:
            found = above.setdefault(id(cell), [])
            if column < len(names) and names[column]:
                found.append(names[column])
    said, used = list[str](), set[str]()
    for cell in _once(row):
        heading = list(dict.fromkeys(above[id(cell)]))
        used.update(heading)
        said.append(f"{' / '.join(heading)}: {cell.text}" if heading else cell.text)
    if len(said) > 1 and row[0] is not None and row[0].heading and not names:
        return f"{said[0].rstrip(':')}: {'; '.join(said[1:])}", used  # a heading before its row
    return "; ".join(said), used
