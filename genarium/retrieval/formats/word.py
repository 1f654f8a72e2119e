"""Word files: what a reader sees of them, in order: headings, tables as rows, pages as Word last laid them out.

ECMA-376 (Office Open XML) part 1, section 17, in its transitional and its strict namespaces. Of tracked changes the
document is read as if they were accepted; what is hidden or can't be read is said.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from genarium.errors import first_line
from genarium.retrieval.document import Document, Unreadable
from genarium.retrieval.formats.formulas import omml
from genarium.retrieval.formats.grid import Grid, GridCell
from genarium.retrieval.formats.package import Package, parser
from genarium.retrieval.formats.word_names import children, kind, on, value
from genarium.retrieval.formats.word_numbering import Numbering
from genarium.retrieval.formats.word_text import Inline
from genarium.retrieval.formats.writer import Writer, flat

WRAPPERS = frozenset(("w:sdt", "w:sdtContent", "w:customXml", "w:ins", "w:moveTo", "w:smartTag"))
UNREAD = {"chart": "a chart", "diagramData": "a diagram (SmartArt)", "oleObject": "an embedded object"}
MAIN = "officeDocument"


def docx(content: bytes) -> Document:
    """The document. Raises Unreadable."""
    parser()
    package = Package(content, "Word file")
    named = [target for _, type_, target, outside in package.relations("") if type_ == MAIN and not outside]
    main = next((target for target in named if package.has(target)), "word/document.xml")
    reader = Word(package, main)
    reader.read()
    return reader.writer.document()


class Word:
    """One Word file while it is read: its parts, styles, notes and numbering."""

    def __init__(self, package: Package, main: str):
        self.package, self.main, self.writer = package, main, Writer()
        self.related = package.relations(main)
        self.levels = self._outline_levels()
        self.numbering = Numbering(self._part("numbering"), self._part("styles"))
        self.asides = {name: self._asides(name) for name in ("footnotes", "endnotes", "comments")}
        self.after: list[Any] = []  # text boxes, read after the paragraph they hang on
        self.cited: list[str] = []
        self.inline = Inline(self)

    def _part(self, type_: str) -> Any | None:
        target = next((t for _, kind_, t, outside in self.related if kind_ == type_ and not outside), None)
        return self.package.xml(target) if target and self.package.has(target) else None

    def _outline_levels(self) -> dict[str, int]:
        """The heading level of each paragraph style. Its id is in the language of Word, its name is not."""
        styles = self._part("styles")
        found, based = dict[str, int](), dict[str, str]()
        for style in () if styles is None else styles:
            if kind(style) != "w:style":
                continue
            name, identifier = "", value(style, "styleId")
            for one in style.iter():
                if kind(one) == "w:name":
                    name = value(one)
                elif kind(one) == "w:basedOn":
                    based[identifier] = value(one)
                elif kind(one) == "w:outlineLvl" and value(one).isdigit() and int(value(one)) < 9:
                    found[identifier] = int(value(one)) + 1
            if level := re.fullmatch(r"(?i)heading\s?(\d)|(title)", name):
                found[identifier] = int(level[1] or 1)
        for identifier in based:
            above, seen = identifier, set[str]()
            while above not in found and above in based and above not in seen:
                seen.add(above)
                above = based[above]
            if above in found:
                found[identifier] = found[above]
        return found

    def _asides(self, type_: str) -> dict[str, Any]:
        root = self._part(type_)
        return {} if root is None else {value(one, "id"): one for one in root if not value(one, "type")}

    def read(self) -> None:
        for element in self._body():
            self.block(element)
        for type_, label in (("header", "Header"), ("footer", "Footer")):
            self._edges(type_, label)
        for _, type_, _target, _outside in self.related:
            if type_ in UNREAD:
                self.writer.note(f"{UNREAD[type_]} in it was not read")
        for name, asides in self.asides.items():
            if left := [identifier for identifier in asides if f"{name}/{identifier}" not in self.cited]:
                self.writer.gap("\n\n")
                for identifier in left:
                    self._aside(name, identifier)
        if self.inline.hidden:
            self.writer.note("hidden text in it was left out")
        for font in sorted(self.inline.unknown):
            self.writer.note(f"signs of the font {font} in it could not be read")

    def _body(self) -> Iterator[Any]:
        """The body's paragraphs and tables one by one, each forgotten when the next is asked for."""
        from lxml import etree

        xml = io.BytesIO(self.package.read(self.main))
        events = etree.iterparse(
            xml, events=("start", "end"), resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False
        )
        depth, found = 0, False
        try:
            for number, (event, element) in enumerate(events):
                # No Word file declares a document type; one that does is there to define entities.
                if number == 0 and element.getroottree().docinfo.internalDTD is not None:
                    raise Unreadable("its XML declares entities, which no Word file does; refused")
                if event == "start":
                    depth += 1
                    found = found or kind(element) == "w:body"
                    continue
                depth -= 1
                if depth == 2:  # a child of the body
                    yield element
                    element.clear()
        except etree.LxmlError as error:
            raise Unreadable(f"a damaged Word file: {first_line(error)}") from None
        if not found:
            raise Unreadable("not a Word file: no text in its document")

    def block(self, element: Any) -> None:
        """A paragraph, a table, or what holds some."""
        name = kind(element)
        if name == "w:p":
            self.paragraph(element)
        elif name == "w:tbl":
            self.table(element)
        elif name in WRAPPERS or name == "w:txbxContent":
            for inner in children(element):
                self.block(inner)
        elif name == "w:altChunk":
            self.writer.note("a document that is embedded in it (altChunk) was not read; open it in Word and save it")
        elif name in ("m:oMathPara", "m:oMath"):
            self.writer.add(omml(element))
            self.writer.gap("\n\n")

    def paragraph(self, element: Any) -> None:
        writer = self.writer
        if not writer.pages:
            writer.pages.append(0)
        properties = next((one for one in element if kind(one) == "w:pPr"), None)
        start = writer.length
        self.inline.write(element)
        text = writer.since(start)
        joins = properties is not None and _is_deleted(properties)
        if text.strip():
            label = self.numbering.label(properties)
            if label:  # before the text, which is there already
                text = writer.since(start)
                _put(writer, start, f"{label} ")
            if level := self._level(properties):
                writer.head(start, level, writer.since(start))
        if writer.length > start and not joins:
            writer.gap("\n\n")
        self.finish()

    def finish(self) -> None:
        """What hangs on the paragraph that was read: text boxes, footnotes, comments."""
        while self.after:
            self.block(self.after.pop(0))
        while self.inline.asides:
            self._aside(*self.inline.asides.pop(0))

    def _level(self, properties: Any) -> int:
        for one in () if properties is None else properties:
            if kind(one) == "w:outlineLvl" and value(one).isdigit() and int(value(one)) < 9:
                return int(value(one)) + 1
            if kind(one) == "w:pStyle":
                plain = re.fullmatch(r"(?i)heading\s?(\d)|(title)", value(one))
                return self.levels.get(value(one), int(plain[1] or 1) if plain else 0)
        return 0

    def _aside(self, type_: str, identifier: str) -> None:
        """A footnote, an endnote or a comment, once."""
        note = self.asides[type_].get(identifier)
        if note is None or f"{type_}/{identifier}" in self.cited:
            return
        self.cited.append(f"{type_}/{identifier}")
        shown = self.inner(note)
        if shown:
            author = value(note, "author")
            what = {"footnotes": f"[{identifier}]", "endnotes": f"[{identifier}]"}.get(type_, f"[Comment {author}]")
            self.writer.gap("\n\n")
            self.writer.add(f"{what.replace(' ]', ']')} {shown}")
            self.writer.gap("\n\n")

    def _edges(self, type_: str, label: str) -> None:
        """What stands at the head or foot of the pages, each text once."""
        seen = set[str]()
        for _, kind_, target, outside in self.related:
            if kind_ != type_ or outside or not self.package.has(target):
                continue
            shown = self.inner(self.package.xml(target))
            if re.search(r"[^\W\d_]", shown) and shown not in seen:
                seen.add(shown)
                self.writer.gap("\n\n")
                self.writer.add(f"{label}: {shown}")
                self.writer.gap("\n\n")

    def inner(self, element: Any) -> str:
        """What an element's paragraphs and tables say, on one line."""
        outer, self.writer = self.writer, Writer()
        for one in children(element):
            self.block(one)
        inner, self.writer = self.writer, outer
        for sentence in inner.notes:
            outer.note(sentence)
        return flat("".join(inner.pieces).split("\n"))

    def table(self, element: Any) -> None:
        """A table as rows; one of a single column or row, or with headings in it, as its paragraphs."""
        rows = [row for row in _inside(element, "w:tr") if not _has(row, "w:trPr", "w:del")]
        cells = [list(_inside(row, "w:tc")) for row in rows]
        if max(map(len, cells), default=0) < 2 or any(self._has_heading(cell) for row in cells for cell in row):
            for row in cells:
                for cell in row:
                    for inner in children(cell):
                        self.block(inner)
            return
        grid = Grid([self._row(row, found) for row, found in zip(rows, cells, strict=True)])
        grid.headings = sum(_has(row, "w:trPr", "w:tblHeader") for row in rows) or None
        _merge(grid)
        self.writer.table(grid)
        self.finish()

    def _has_heading(self, cell: Any) -> bool:
        paragraphs = (one for one in cell if kind(one) == "w:p")
        return any(self._level(next((p for p in one if kind(p) == "w:pPr"), None)) for one in paragraphs)

    def _row(self, row: Any, cells: list[Any]) -> list[GridCell]:
        before = next((int(value(p)) for p in row.iter() if kind(p) == "w:gridBefore" and value(p).isdigit()), 0)
        found = [GridCell("", columns=before)] if before else []
        for cell in cells:
            properties = {kind(p): p for one in cell if kind(one) == "w:tcPr" for p in one}
            span = properties.get("w:gridSpan")
            columns = int(value(span)) if span is not None and value(span).isdigit() else 1
            merged = properties.get("w:vMerge")
            down = merged is not None and value(merged) != "restart"
            # rows=0 says that the cell is the one above going on; _merge puts them together.
            found.append(GridCell(self.inner(cell), columns, 0 if down else 1, bold=_is_bold(cell)))
        return found


def _merge(grid: Grid) -> None:
    """A cell that continues below (rows=0) becomes part of the one above it."""
    above: dict[int, tuple[int, int]] = {}  # column: row and place of the cell in it
    kept: list[list[GridCell]] = []
    for number, row in enumerate(grid.rows):
        column, line = 0, list[GridCell]()
        for cell in row:
            if cell.rows == 0 and column in above:
                top, place = above[column]
                first = kept[top][place]
                text = flat([first.text, cell.text])
                kept[top][place] = replace(first, text=text, rows=number - top + 1)
            else:
                for spanned in range(column, column + min(cell.columns, 1000)):
                    above[spanned] = (number, len(line))
                line.append(replace(cell, rows=1))
            column += cell.columns
        kept.append(line)
    grid.rows = kept


def _put(writer: Writer, start: int, text: str) -> None:
    """Put text before what was written from `start`."""
    after = writer.since(start)
    while writer.length > start:
        writer.length -= len(writer.pieces.pop())
    if writer.length < start:
        raise AssertionError("a paragraph begins inside a piece")
    writer.pages = [page + len(text) if page > start else page for page in writer.pages]
    writer.add(text + after)


def _inside(element: Any, wanted: str) -> Iterator[Any]:
    """The elements of a kind just inside, or inside content controls and insertions there."""
    for one in children(element):
        if kind(one) == wanted:
            yield one
        elif kind(one) in WRAPPERS:
            yield from _inside(one, wanted)


def _is_bold(cell: Any) -> bool:
    """Whether all words of a cell are."""
    runs = [
        one
        for one in cell.iter()
        if kind(one) == "w:r" and any((t.text or "").strip() for t in one if kind(t) == "w:t")
    ]
    return bool(runs) and all(_has(run, "w:rPr", "w:b") for run in runs)


def _has(element: Any, properties: str, name: str) -> bool:
    return any(kind(p) == name and on(p) for one in element if kind(one) == properties for p in one)


def _is_deleted(properties: Any) -> bool:
    """Whether the paragraph's end is deleted: what follows is of the same paragraph then."""
    return any(kind(p) in ("w:del", "w:moveFrom") for one in properties if kind(one) == "w:rPr" for p in one)
