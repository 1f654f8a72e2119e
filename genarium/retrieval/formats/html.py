"""A web page: the words it shows, a paragraph a block, tables as rows that keep their headings.

The charset is found as browsers find it (https://html.spec.whatwg.org/#determining-the-character-encoding): the mark,
then `meta`, by the labels of https://encoding.spec.whatwg.org, in which latin1 means windows-1252.
"""

from __future__ import annotations

import re
from typing import Any

from genarium.data import encodings
from genarium.errors import BadInput
from genarium.extras import missing
from genarium.retrieval.document import Document, Unreadable
from genarium.retrieval.formats.formulas import mathml
from genarium.retrieval.formats.grid import Grid, GridCell
from genarium.retrieval.formats.writer import Writer, flat, spaced

PARAGRAPHS = frozenset(
    "address article aside blockquote body center details dialog dir div dl fieldset figure footer form h1 h2 h3 h4 h5 "
    "h6 header hgroup hr html legend listing main menu nav ol optgroup p pre search section select summary table tbody "
    "tfoot thead ul xmp".split()
)
LINES = frozenset("br caption dd dt figcaption li option tr".split())
APART = frozenset("button img input label meter output progress td textarea th rt".split())
"""They stand in a line, with a gap to the words beside them."""
UNSEEN = frozenset(
    "script style noscript template head iframe object embed video audio canvas datalist annotation "
    "annotation-xml rp param source track map area base link meta title desc".split()
)
KEPT_SPACES = frozenset("pre textarea xmp listing".split())
SHOWN_INPUTS = frozenset(("", "button", "email", "number", "reset", "search", "submit", "tel", "text", "url", "date"))
HEADING = re.compile("h[1-6]")
MOST_DEPTH = 2000
SAMPLE = 4096
DECLARED = re.compile(
    rb"""<\?xml[^>]{0,200}?\bencoding\s*=\s*["']([\w.:-]+)|<meta\b[^>]{0,500}?\bcharset\s*=\s*["']?\s*([\w.:-]+)""",
    re.I,
)


def html(content: bytes) -> Document:
    """The document. Raises Unreadable."""
    text, notes = decoded(content)
    return read(parsed(text, notes), notes)


def xhtml(content: bytes) -> Document:
    """The same of XML: there an empty element may end itself, which HTML does not know."""
    root = xml_root(content)
    return html(content) if root is None else read(root, [])


def read(root: Any, notes: list[str]) -> Document:
    """The document of a parsed page."""
    title = next((flat(["".join(found.itertext())]) for found in root.iter() if _tag(found) == "title"), "")
    page = Page(Writer(title))
    page.children(root)
    for sentence in notes:
        page.writer.note(sentence)
    document = page.writer.document()
    if not document.text.strip() and any(_tag(found) == "script" for found in root.iter()):
        raise Unreadable(
            "nothing to read in it: its text is made by scripts; save the page from a browser as text or PDF"
        )
    return document


def xml_root(content: bytes) -> Any | None:
    """The root of well-formed XML that declares no entities of its own, else None."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except (etree.LxmlError, ValueError):
        return None
    declared = root.getroottree().docinfo.internalDTD
    return None if declared is not None and list(declared.iterentities()) else root


def parsed(text: str, notes: list[str]) -> Any:
    """The root element, as HTML is read. Raises Unreadable."""
    try:
        from lxml import etree
    except ImportError:
        raise Unreadable(str(missing("HTML", "lxml"))) from None
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(text.replace("\x00", "\ufffd").encode("utf-8", errors="replace"), parser)
    except (etree.LxmlError, ValueError) as error:
        raise Unreadable(f"not HTML: {error}") from None
    if root is None:
        raise Unreadable("nothing to read in it")
    if any(error.level >= 3 for error in parser.error_log):
        notes.append("part of it is nested too deep or too damaged to be read")
    return root


def decoded(content: bytes) -> tuple[str, list[str]]:
    """A page's text, and what to say of its encoding. Raises Unreadable."""
    marked = any(content.startswith(mark) for mark, _ in encodings.MARKS)
    named = None if marked else DECLARED.search(re.sub(rb"(?s)<!--.*?-->", b"", content[:SAMPLE]))
    try:
        decoded = encodings.decode(content, _by_label(named[1] or named[2]) if named else None)
    except BadInput as error:
        raise Unreadable(str(error)) from None
    return decoded.text.replace("\r\n", "\n").replace("\r", "\n"), list(decoded.notes)


def _by_label(label: bytes) -> str | None:
    """Python's codec for a label in a page; None where browsers do not know it either."""
    try:
        from webencodings import lookup
    except ImportError:
        raise Unreadable(str(missing("HTML", "webencodings"))) from None
    found = lookup(label.decode("ascii", errors="replace"))
    if found is None:
        return None
    # A page that can say so is not in UTF-16.
    return "utf-8" if found.name.startswith("utf-16") else encodings.checked(found.codec_info.name)


def _tag(element: Any) -> str:
    return element.tag.rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


class Page:
    """Walks the elements of a page and writes what is seen of it."""

    def __init__(self, writer: Writer):
        self.writer = writer
        self.kept = 0  # elements around that keep white space as it is
        self.invisible = False
        self.pending = False  # whether a gap is wanted before the next word
        self.depth = 0

    def children(self, element: Any) -> None:
        """What stands in an element: its text, its elements and the text after each."""
        self.text(element.text if isinstance(element.tag, str) else None)
        for child in element:
            self.child(child)
            self.text(child.tail)

    def child(self, element: Any) -> None:
        """One element, as it is shown."""
        tag = _tag(element)
        if not tag:
            self.entity(element)
            return
        if tag in UNSEEN or _is_hidden(element, tag):
            return
        if self.depth > MOST_DEPTH:
            raise Unreadable(f"nested more than {MOST_DEPTH} deep")
        before = self.invisible
        if visibility := re.search(r"(?i)\bvisibility\s*:\s*(\w+)", element.get("style") or ""):
            self.invisible = visibility[1].lower() in ("hidden", "collapse")
        self.depth += 1
        self.element(element, tag)
        self.depth -= 1
        self.invisible = before

    def element(self, element: Any, tag: str) -> None:
        special = getattr(self, f"_{tag}", None)
        if tag in PARAGRAPHS:
            self.writer.gap("\n\n")
        elif tag in LINES:
            self.writer.gap("\n")
        elif tag in APART:
            self.apart()
        start = self.writer.length
        self.kept += tag in KEPT_SPACES
        if special is not None:
            special(element)
        else:
            self.children(element)
        self.kept -= tag in KEPT_SPACES
        if HEADING.fullmatch(tag) and (heading := self.writer.since(start).strip()):
            self.writer.head(start, int(tag[1]), heading)
        if tag in PARAGRAPHS:
            self.writer.gap("\n\n")
        elif tag in LINES:
            self.writer.gap("\n")
        elif tag in APART:
            self.pending = self.writer.ends_word()

    def apart(self) -> None:
        """A gap to the word before, if there is one."""
        self.pending = self.writer.ends_word()

    def text(self, text: str | None) -> None:
        if not text or self.invisible:
            return
        text = text.replace("\xad", "").replace("\u200b", "")
        piece = text if self.kept else spaced(text)
        if not self.kept and not self.writer.ends_word():
            piece = piece.lstrip(" ")
        if self.pending and piece:
            if self.writer.ends_word() and (piece[0].isalnum() or piece[0] in "([“\"'"):
                self.writer.add(" ")
            self.pending = False
        self.writer.add(piece)

    def entity(self, element: Any) -> None:
        """An entity that XML leaves to us, as &nbsp;."""
        from html import unescape

        if name := getattr(element, "name", None):
            known = unescape(f"&{name};")
            self.text("" if known.startswith("&") else known)

    def _br(self, element: Any) -> None:
        if self.writer.length and not self.invisible:
            if self.writer.pieces[-1].endswith("\n\n"):
                return
            if self.writer.pieces[-1].endswith("\n"):
                return
        self.children(element)

    def _img(self, element: Any) -> None:
        self.text(" ".join((element.get("alt") or "").split()))

    def _input(self, element: Any) -> None:
        kind = (element.get("type") or "").lower()
        if kind == "image":
            self._img(element)
        elif kind in SHOWN_INPUTS:
            self.text(element.get("value"))

    def _option(self, element: Any) -> None:
        self.text(element.get("label") if element.get("label") else None)
        if not element.get("label") or "".join(element.itertext()).strip() != element.get("label"):
            self.children(element)

    def _optgroup(self, element: Any) -> None:
        self.text(element.get("label"))
        self.writer.gap("\n")
        self.children(element)

    def _q(self, element: Any) -> None:
        self.text("“")
        self.children(element)
        self.text("”")

    def _sup(self, element: Any) -> None:
        """10<sup>6</sup> is not 106."""
        shown = "".join(element.itertext()).strip()
        if re.fullmatch(r"[-−+]?\d+", shown) and self.writer.pieces and self.writer.pieces[-1][-1:].isdigit():
            self.text("^")
        self.children(element)

    def _rt(self, element: Any) -> None:
        self.pending = False
        self.text("(")
        self.children(element)
        self.text(")")
        self.pending = False

    def _math(self, element: Any) -> None:
        self.text(mathml(element))

    def _table(self, element: Any) -> None:
        """Rows with their headings; of a table that only lays out the page, its blocks in order."""
        found = _rows(element)
        if _is_layout(element, found):
            self.children(element)
            return
        grid = Grid()
        for part in element:
            if _tag(part) == "caption":
                grid.caption = self.inner(part)
        for row in found:
            grid.rows.append(
                [
                    GridCell(
                        self.inner(cell),
                        _span(cell, "colspan"),
                        _rowspan(cell, row),
                        _tag(cell) == "th",
                        _is_bold(cell),
                    )
                    for cell in row
                    if _tag(cell) in ("td", "th") and not _is_hidden(cell, _tag(cell))
                ]
            )
        heads = sum(_tag(row.getparent()) == "thead" for row in found)
        grid.headings = heads or None
        self.writer.table(grid)
        for part in element:  # what the parser found between the rows, which browsers show before the table
            if _tag(part) not in ("caption", "thead", "tbody", "tfoot", "tr", "colgroup", "col"):
                self.child(part)
            self.text(part.tail)

    def inner(self, element: Any) -> str:
        """What an element shows, on one line."""
        outer, pending, kept = self.writer, self.pending, self.kept
        self.writer, self.pending, self.kept = Writer(), False, 0
        self.children(element)
        shown = "".join(self.writer.pieces)
        for sentence in self.writer.notes:
            outer.note(sentence)
        self.writer, self.pending, self.kept = outer, pending, kept
        return flat(shown.split("\n"))


def _is_hidden(element: Any, tag: str) -> bool:
    hidden = element.get("hidden")
    if hidden is not None and hidden.lower() != "until-found":
        return True
    if tag == "dialog" and element.get("open") is None:
        return True
    style = element.get("style")
    return bool(style and re.search(r"(?i)(?:^|[;\s])display\s*:\s*none\b", style))


def _is_bold(cell: Any) -> bool:
    """Whether all that a cell says is in one bold element."""
    strong = [one for one in cell if _tag(one)]
    outside = (cell.text or "") + "".join(one.tail or "" for one in strong)
    return bool(strong) and not outside.strip() and all(_tag(one) in ("b", "strong") for one in strong)


def _rows(table: Any) -> list[Any]:
    """The table's own rows that are shown: those of thead first and of tfoot last, as they are shown."""
    parts: dict[str, list[Any]] = {"thead": [], "tbody": [], "tfoot": []}
    for part in table:
        tag = _tag(part)
        if tag == "tr" and not _is_hidden(part, tag):
            parts["tbody"].append(part)
        elif tag in parts and not _is_hidden(part, tag):
            parts[tag] += [row for row in part if _tag(row) == "tr" and not _is_hidden(row, "tr")]
    return [row for rows in parts.values() for row in rows]


LAID_OUT = frozenset("table h1 h2 h3 h4 h5 h6 form pre hr nav section article header footer main".split())


def _is_layout(table: Any, rows: list[Any]) -> bool:
    """Whether the table only says where on the page things stand."""
    if (table.get("role") or "").lower() in ("presentation", "none"):
        return True
    cells = [cell for row in rows for cell in row if _tag(cell) in ("td", "th")]
    if any(_tag(cell) == "th" for cell in cells):
        return False
    if not cells or max(len(row) for row in rows) < 2:
        return True
    return any(_tag(inner) in LAID_OUT for cell in cells for inner in cell.iter())


def _span(cell: Any, name: str) -> int:
    written = re.match(r"\s*(\d{1,6})", cell.get(name) or "")
    return int(written[1]) if written else 1


def _rowspan(cell: Any, row: Any) -> int:
    if re.match(r"\s*0+\s*$", cell.get("rowspan") or ""):  # to the end of its part of the table
        return len(row.getparent())
    return max(1, _span(cell, "rowspan"))
