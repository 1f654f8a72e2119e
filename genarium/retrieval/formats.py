"""HTML, PDF and Word files as text, through lxml and pypdf. Each raises Unreadable, never another error.

Files come from anywhere: what would unpack to much more than it is (a zip bomb, an XML entity that doubles itself)
is refused while it is read, with little of it in memory.
"""

from __future__ import annotations

import io
import logging
import re
import zipfile
from typing import Any

from genarium.retrieval.documents import HEADING_LEVELS, MAX_TEXT, Document, Section, Unreadable, decode, joined

MAX_XML = 64 * 2**20
"""The most that the text part of a Word file may unpack to, in bytes: some 5,000 pages."""
WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
INSTALL = "pip install 'genarium[documents]'"
BLOCKS = frozenset(
    "address article aside blockquote body br caption dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 "
    "h5 h6 header hr li main nav ol p pre section table td th tr ul".split()
)
UNSEEN = frozenset(("script", "style", "noscript", "template", "head", "svg", "math"))


class _Writer:
    """Text put together in pieces, with the places of headings and pages."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.length = 0
        self.sections: list[Section] = []
        self.pages: list[int] = []
        self.above = [""] * HEADING_LEVELS

    def add(self, piece: str) -> None:
        if not piece:
            return
        self.pieces.append(piece)
        self.length += len(piece)
        if self.length > MAX_TEXT:
            raise Unreadable(f"more than {MAX_TEXT // 10**6} million characters of text; split it")

    def head(self, start: int, level: int, heading: str) -> None:
        level = min(max(level, 1), HEADING_LEVELS)
        self.above[level - 1 :] = [" ".join(heading.split()), *[""] * (HEADING_LEVELS - level)]
        self.sections.append(Section(start, joined(self.above)))

    def document(self) -> Document:
        return Document("".join(self.pieces), self.sections, self.pages)


def html(content: bytes) -> Document:
    """A web page: what is shown, a paragraph a block."""
    try:
        from lxml import etree
    except ImportError:
        raise Unreadable(f"HTML needs lxml: {INSTALL}") from None
    named = re.search(rb"charset=[\"']?([\w-]+)", content[:2048])
    try:
        text = content.decode(named[1].decode()) if named else decode(content)
    except (LookupError, UnicodeDecodeError):
        text = decode(content)
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False, remove_comments=True)
    try:
        root = etree.fromstring(text.encode("utf-8", errors="replace"), parser)
    except (etree.LxmlError, ValueError) as error:
        raise Unreadable(f"not HTML: {error}") from None
    if root is None:
        raise Unreadable("nothing to read in it")
    writer = _Writer()
    unseen, preformatted = 0, 0
    heading_at = (0, 0)  # characters, pieces
    for event, element in etree.iterwalk(root, events=("start", "end")):
        tag = element.tag if isinstance(element.tag, str) else ""
        if event == "start":
            unseen += tag in UNSEEN
            preformatted += tag == "pre"
            if tag in BLOCKS and not unseen:
                _gap(writer, "\n" if tag in ("br", "li", "td", "th", "tr", "dd") else "\n\n")
            heading_at = (writer.length, len(writer.pieces)) if re.fullmatch("h[1-6]", tag) else heading_at
            shown = element.text
        else:
            unseen -= tag in UNSEEN
            preformatted -= tag == "pre"
            if re.fullmatch("h[1-6]", tag) and not unseen:
                writer.head(heading_at[0], int(tag[1]), "".join(writer.pieces[heading_at[1] :]))
            if tag in BLOCKS and not unseen:
                _gap(writer, "\n" if tag in ("br", "li", "td", "th", "tr", "dd") else "\n\n")
            shown = element.tail
        if shown and not unseen:
            piece = shown if preformatted else re.sub(r"\s+", " ", shown)
            writer.add(piece.lstrip() if _ends_line(writer) and not preformatted else piece)
    return writer.document()


def _ends_line(writer: _Writer) -> bool:
    return not writer.pieces or writer.pieces[-1].endswith("\n")


def _gap(writer: _Writer, wanted: str) -> None:
    """Line ends behind what was written, as many as `wanted`, not more."""
    tail = "".join(writer.pieces[-2:])
    there = len(tail) - len(tail.rstrip("\n"))
    if writer.length and there < len(wanted):
        writer.add(wanted[there:])


def pdf(content: bytes) -> Document:
    """A PDF's text, page by page. Scanned pages have none: a PDF of nothing else is refused."""
    try:
        import pypdf
    except ImportError:
        raise Unreadable(f"PDF needs pypdf: {INSTALL}") from None
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns of every flaw it mends
    writer = _Writer()
    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("encrypted; save it without a password")
        for page in reader.pages:
            writer.pages.append(writer.length)
            writer.add(page.extract_text().strip() + "\n\n")
    except Unreadable:
        raise
    except Exception as error:  # pypdf meets broken files with errors of every kind
        raise Unreadable(f"damaged or unusual PDF ({type(error).__name__})") from None
    if not writer.document().text.strip():
        raise Unreadable("a PDF without text, scanned pages perhaps; run it through text recognition (OCR) first")
    return writer.document()


def docx(content: bytes) -> Document:
    """A Word file's paragraphs, those in tables too, with headings, and pages as Word last laid them out."""
    try:
        from lxml import etree
    except ImportError:
        raise Unreadable(f"Word files need lxml: {INSTALL}") from None
    writer = _Writer()
    try:
        xml = io.BytesIO(_unpacked(content))
        paragraphs = etree.iterparse(
            xml, events=("start", "end"), resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False
        )
        for number, (event, element) in enumerate(paragraphs):
            # No Word file declares a document type; one that does is there to define entities.
            if number == 0 and element.getroottree().docinfo.internalDTD is not None:
                raise Unreadable("its XML declares entities, which no Word file does; refused")
            if event == "end" and element.tag == WORD + "p":
                _paragraph(writer, element)
                element.clear()
    except etree.LxmlError as error:
        raise Unreadable(f"a damaged Word file: {error}") from None
    document = writer.document()
    return document if len(document.pages) > 1 else Document(document.text, document.sections)


def _unpacked(content: bytes) -> bytes:
    """The part of a Word file that holds its text."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            part = archive.getinfo("word/document.xml")
            if part.flag_bits & 1:
                raise Unreadable("encrypted; save it without a password")
            with archive.open(part) as opened:
                # Whatever size the archive claims, no more than this is unpacked.
                xml = opened.read(MAX_XML + 1)
    except KeyError:
        raise Unreadable("not a Word file: no document in it") from None
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, OSError, EOFError, ValueError) as error:
        raise Unreadable(f"encrypted, or not a Word file ({error})") from None
    except RuntimeError:
        raise Unreadable("encrypted; save it without a password") from None
    if len(xml) > MAX_XML:
        raise Unreadable(f"unpacks to more than {MAX_XML // 2**20} MiB; refused")
    return xml


def _paragraph(writer: _Writer, paragraph: Any) -> None:
    if not writer.pages:
        writer.pages.append(0)
    start, pieces = writer.length, len(writer.pieces)
    for node in paragraph.iter():
        if node.tag == WORD + "t":
            writer.add(node.text or "")
        elif node.tag == WORD + "tab":
            writer.add("\t")
        elif node.tag == WORD + "lastRenderedPageBreak":
            writer.pages.append(writer.length)
        elif node.tag in (WORD + "br", WORD + "cr"):
            writer.add("\n")
    style = paragraph.find(f"{WORD}pPr/{WORD}pStyle")
    level = re.fullmatch(r"(?i)heading\s?(\d)|(title)", "" if style is None else style.get(WORD + "val", ""))
    if level and writer.length > start:
        writer.head(start, int(level[1] or 1), "".join(writer.pieces[pieces:]))
    if writer.length > start:
        writer.add("\n\n")
