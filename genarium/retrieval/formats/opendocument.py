"""OpenDocument text, sheets and slides: headings, paragraphs, tables as rows, notes where they are referred to."""

from __future__ import annotations

from typing import Any

from genarium.retrieval.document import Document, Unreadable
from genarium.retrieval.formats.formulas import mathml
from genarium.retrieval.formats.grid import Grid, GridCell
from genarium.retrieval.formats.package import Package
from genarium.retrieval.formats.writer import Writer, flat, spaced

MOST_REPEATED = 1000
SKIPPED = frozenset(
    "tracked-changes sequence-decls forms variable-decls user-field-decls scripts font-face-decls automatic-styles "
    "note-citation linenumbering-configuration settings".split()
)


def odt(content: bytes) -> Document:
    """The document. Raises Unreadable."""
    package = Package(content, "OpenDocument file")
    if package.has("META-INF/manifest.xml") and b"encryption-data" in package.read("META-INF/manifest.xml"):
        raise Unreadable("encrypted; save it without a password")
    reader = _Reader(package)
    reader.blocks(package.xml("content.xml"))
    if reader.hidden:
        reader.writer.note("hidden text in it was left out")
    return reader.writer.document()


def _name(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _value(element: Any, name: str) -> str:
    return next((text for key, text in element.attrib.items() if key.rpartition("}")[2] == name), "")


class _Reader:
    def __init__(self, package: Package):
        self.package, self.writer = package, Writer()
        self.notes: list[tuple[str, Any]] = []
        self.boxes: list[Any] = []
        self.hidden = False

    def blocks(self, element: Any) -> None:
        for one in element:
            name = _name(one)
            if not name or name in SKIPPED:
                continue
            if name in ("p", "h"):
                self.paragraph(one, int(_value(one, "outline-level") or 1) if name == "h" else 0)
            elif name == "table":
                self.table(one)
            elif name == "section" and _value(one, "display") == "none":
                self.hidden = True
            elif name == "page" and _value(one, "name"):
                self.writer.pages.append(self.writer.length)
                self.blocks(one)
            else:
                self.blocks(one)

    def paragraph(self, element: Any, level: int) -> None:
        start = self.writer.length
        self.inline(element)
        text = self.writer.since(start)
        if level and text.strip():
            self.writer.head(start, level, text)
        self.writer.gap("\n\n")
        while self.boxes:
            self.blocks(self.boxes.pop(0))
        while self.notes:
            mark, body = self.notes.pop(0)
            self.writer.add(f"[{mark}] {self.inner(body)}")
            self.writer.gap("\n\n")

    def inline(self, element: Any) -> None:
        """Text, in which white space counts once: `s` and `tab` stand for more."""
        self.text(element.text)
        for one in element:
            self.element(one, _name(one))
            self.text(one.tail)

    def text(self, text: str | None) -> None:
        if text:
            piece = spaced(text).replace("\xad", "")
            self.writer.add(piece.lstrip(" ") if not self.writer.ends_word() else piece)

    def element(self, one: Any, name: str) -> None:
        if name == "s":
            count = _value(one, "c")
            self.writer.add(" " * min(int(count) if count.isdigit() else 1, MOST_REPEATED))
        elif name == "tab":
            self.writer.add("\t")
        elif name == "line-break":
            self.writer.add("\n")
        elif name == "note":
            body = next((part for part in one if _name(part) == "note-body"), None)
            mark = flat(["".join(part.itertext()) for part in one if _name(part) == "note-citation"])
            if body is not None:
                self.writer.add(f"[{mark}]")
                self.notes.append((mark, body))
        elif name == "annotation":
            author = flat([part.text or "" for part in one if _name(part) == "creator"])
            said = [part for part in one if _name(part) in ("p", "list")]
            self.notes.append((f"Comment {author}".strip(), said))
        elif name in ("frame", "custom-shape", "g", "line", "rect"):
            self.frame(one)
        elif name in ("hidden-text", "hidden-paragraph") and _value(one, "is-hidden") != "false":
            self.hidden = True
        elif name not in ("bookmark", "soft-page-break") and name not in SKIPPED:
            self.inline(one)
        elif name == "soft-page-break":
            self.writer.pages = self.writer.pages or [0]
            self.writer.pages.append(self.writer.length)

    def frame(self, one: Any) -> None:
        """A box of text, an image with its description, a formula."""
        for part in one:
            name = _name(part)
            if name in ("title", "desc"):
                self.text(f" {part.text or ''} ")
            elif name in ("text-box", "p", "table", "g", "custom-shape", "frame"):
                self.boxes.append([part] if name in ("p", "table", "g", "custom-shape", "frame") else part)
            elif name == "object":
                self.embedded(part)

    def embedded(self, part: Any) -> None:
        where = _value(part, "href").removeprefix("./") + "/content.xml"
        formulas = list(part.iter("{*}math"))
        if not formulas and self.package.has(where):
            root = self.package.xml(where)
            formulas = list(root.iter("{*}math")) if _name(root) != "math" else [root]
        if formulas:
            self.writer.add("".join(mathml(formula) for formula in formulas))
        else:
            self.writer.note("an embedded object in it was not read")

    def inner(self, element: Any) -> str:
        outer, boxes, notes = self.writer, self.boxes, self.notes
        self.writer, self.boxes, self.notes = Writer(), [], []
        self.blocks(element)
        inner, self.writer, self.boxes, self.notes = self.writer, outer, boxes, notes
        for sentence in inner.notes:
            outer.note(sentence)
        return flat("".join(inner.pieces).split("\n"))

    def table(self, element: Any) -> None:
        """Rows of cells. A sheet ends in a million empty ones, which are repeated and hold nothing."""
        grid = Grid()
        heads = 0
        for row, in_header in _rows(element, False):
            cells = self._cells(row)
            if not any(cell.text for cell in cells):
                continue
            repeated = _value(row, "number-rows-repeated")
            grid.rows += [cells] * min(int(repeated) if repeated.isdigit() else 1, MOST_REPEATED)
            heads += in_header
            if _value(row, "visibility") in ("collapse", "filter"):
                self.writer.note("hidden rows of its tables were read too")
        grid.headings = heads or None
        if max(map(len, grid.rows), default=0) < 2:
            for line in grid.lines():
                self.writer.add(line)
                self.writer.gap("\n\n")
            return
        if (
            _value(element, "name")
            and self.writer.title == ""
            and any(_name(e) == "spreadsheet" for e in element.iterancestors())
        ):
            self.writer.gap("\n\n")
            start = self.writer.length
            self.writer.add(_value(element, "name"))
            self.writer.head(start, 1, _value(element, "name"))
        self.writer.table(grid)

    def _cells(self, row: Any) -> list[GridCell]:
        cells = []
        for one in row:
            if _name(one) not in ("table-cell", "covered-table-cell"):
                continue
            repeated, columns = _value(one, "number-columns-repeated"), _value(one, "number-columns-spanned")
            rows = _value(one, "number-rows-spanned")
            if _name(one) == "covered-table-cell":
                continue  # laid out by the cell that spans it
            text = self.inner(one)
            cell = GridCell(text, int(columns or 1), int(rows or 1))
            count = min(int(repeated) if repeated.isdigit() else 1, MOST_REPEATED)
            cells += [cell] if count == 1 else [GridCell(text) for _ in range(count)]
        while cells and not cells[-1].text and cells[-1].columns == 1:
            cells.pop()
        return cells


def _rows(element: Any, in_header: bool) -> list[tuple[Any, bool]]:
    found = []
    for one in element:
        if _name(one) == "table-row":
            found.append((one, in_header))
        elif _name(one) in ("table-rows", "table-row-group", "table-header-rows"):
            found += _rows(one, in_header or _name(one) == "table-header-rows")
    return found
