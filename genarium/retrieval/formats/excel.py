"""Excel workbooks, through openpyxl: each sheet's rows with their headings, formulas by the values Excel left."""

from __future__ import annotations

import datetime
import io
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

from genarium.extras import missing
from genarium.retrieval.document import Document, Unreadable
from genarium.retrieval.formats.grid import Grid, GridCell
from genarium.retrieval.formats.package import MAX_XML, Package
from genarium.retrieval.formats.writer import Writer

MOST_CELLS, MOST_MERGED = 2_000_000, 10_000


def xlsx(content: bytes) -> Document:
    """The document. Raises Unreadable."""
    try:
        import openpyxl
    except ImportError:
        raise Unreadable(str(missing("an Excel file", "openpyxl"))) from None
    package = Package(content, "Excel file")
    if not package.has("xl/workbook.xml") and not any(
        kind == "officeDocument" for _, kind, *_ in package.relations("")
    ):
        raise Unreadable("not an Excel file: no workbook in it")
    _require_small(package.archive)
    writer = Writer()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
            formulas = openpyxl.load_workbook(io.BytesIO(content)) if b"<f" in _sheets(package) else None
        for sheet in book.worksheets:
            _sheet(writer, sheet, None if formulas is None else formulas[sheet.title])
        if book.chartsheets or any(sheet._charts for sheet in book.worksheets):
            writer.note("charts in it were not read")
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # openpyxl meets broken files with errors of every kind
        raise Unreadable(f"a damaged or unusual Excel file ({type(error).__name__})") from None
    return writer.document()


def _require_small(archive: zipfile.ZipFile) -> None:
    # Python unpacks no more than what is claimed here.
    if sum(part.file_size for part in archive.infolist() if part.filename.endswith((".xml", ".rels"))) > MAX_XML:
        raise Unreadable(f"unpacks to more than {MAX_XML // 2**20} MiB; save its sheets as CSV")


def _sheets(package: Package) -> bytes:
    return b"".join(package.read(name) for name in package.names if name.startswith("xl/worksheets/sheet"))


def _sheet(writer: Writer, sheet: Any, formulas: Any) -> None:
    """A section a sheet. Lines of a single cell above the table are its titles."""
    if sheet.sheet_state != "visible":
        writer.note(f"the hidden sheet {sheet.title} was left out")
        return
    if len(sheet._cells) > MOST_CELLS:
        raise Unreadable(f"more than {MOST_CELLS // 10**6} million cells; save its sheets as CSV")
    cells = sorted(sheet._cells.items())
    found: dict[int, dict[int, str]] = {}
    for (row, column), cell in cells:
        if text := _shown(cell):
            found.setdefault(row, {})[column] = text
    comments = [(cell.coordinate, cell.comment.text) for _, cell in cells if cell.comment]
    empty = [place for place, cell in cells if formulas is not None and cell.value is None]
    if lost := sum(formulas.cell(*place).data_type == "f" for place in empty):
        formula = "1 formula" if lost == 1 else f"{lost} formulas"
        writer.note(f"{formula} in the sheet {sheet.title} without a value; open it in Excel and save it")
    if not found and not comments:
        return
    writer.gap("\n\n")
    start = writer.length
    writer.add(sheet.title)
    writer.head(start, 1, sheet.title)
    writer.gap("\n\n")
    for block in _blocks(sheet, found):
        _block(writer, block)
    for place, text in comments:
        writer.add(f"[Comment on {place}] {' '.join(text.split())}")
        writer.gap("\n\n")


def _blocks(sheet: Any, found: dict[int, dict[int, str]]) -> Iterator[list[list[GridCell]]]:
    """The sheet's tables: an empty row ends one."""
    merged = {(area.min_row, area.min_col): area for area in sheet.merged_cells.ranges}
    small = (area for area in merged.values() if area.size["columns"] * area.size["rows"] <= MOST_MERGED)
    inside = {place for area in small for place in _of(area)}
    left = min((min(cells) for cells in found.values()), default=1)
    block: list[list[GridCell]] = []
    last = 0
    for row, cells in found.items():
        if block and row > last + 1 and not all((between, left) in inside for between in range(last + 1, row)):
            yield block
            block = []
        line = []
        for column in range(left, max(cells) + 1):
            area = merged.get((row, column))
            if area is not None:
                line.append(GridCell(cells.get(column, ""), area.size["columns"], area.size["rows"]))
            elif (row, column) not in inside:
                line.append(GridCell(cells.get(column, "")))
        block.append(line)
        last = row
    yield block


def _of(area: Any) -> list[tuple[int, int]]:
    """The places of a merged area but its first."""
    rows, columns = range(area.min_row, area.max_row + 1), range(area.min_col, area.max_col + 1)
    return [(row, column) for row in rows for column in columns if (row, column) != (area.min_row, area.min_col)]


def _block(writer: Writer, rows: list[list[GridCell]]) -> None:
    """Rows without an empty one between them: titles, and a table."""
    while rows and len(rows) > 1 and sum(bool(cell.text) for cell in rows[0]) == 1 and len(rows[1]) > 1:
        writer.gap("\n\n")
        writer.add(next(cell.text for cell in rows[0] if cell.text))
        rows = rows[1:]
    if rows:
        writer.table(Grid(rows))


def _shown(cell: Any) -> str:
    """A value as the sheet shows it, near enough: dates as ISO writes them, shares as per cent."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "minutes")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, int | float):
        if "%" in (cell.number_format or "") and "e" not in repr(value):
            return f"{round(value * 100, 10):g}%"
        return f"{value:.15g}"
    return " ".join(str(value).split())
