"""CSV and its kin as a document: a line a row, each cell under the heading of its column. Nothing is left out."""

from __future__ import annotations

from genarium.data import delimited
from genarium.retrieval.document import Document
from genarium.retrieval.formats.grid import Grid, GridCell, is_value
from genarium.retrieval.formats.writer import Writer


def table(text: str, usual: str | None) -> Document:
    """The document. The first row is the header, as nearly always, unless it holds numbers or repeats itself."""
    found = delimited.parse(text, "", usual=usual or ",", header=False, strict=False)
    if not found.rows:
        return Document(text)
    first = [cell.strip() for cell in found.rows[0] if cell.strip()]
    header = len(found.rows) > 1 and len(set(first)) == len(first) and not any(is_value(cell) for cell in first)
    grid = Grid([[GridCell(" ".join(cell.split())) for cell in row] for row in found.rows], headings=int(header))
    writer = Writer()
    for line in grid.lines():
        writer.row(line)
    return writer.document()
