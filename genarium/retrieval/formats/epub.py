"""EPUB books: their chapters in reading order (EPUB 3.3, and 2)."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

from genarium.retrieval.document import Document, Unreadable
from genarium.retrieval.formats import html
from genarium.retrieval.formats.package import Package
from genarium.retrieval.formats.writer import Writer


def epub(content: bytes) -> Document:
    """The document. Raises Unreadable."""
    package = Package(content, "EPUB")
    if package.has("META-INF/rights.xml") or package.has("META-INF/sinf.xml"):
        raise Unreadable("protected by digital rights management; it can't be read here")
    container = package.xml("META-INF/container.xml")
    main = next((one.get("full-path") for one in container.iter("{*}rootfile") if one.get("full-path")), None)
    if main is None:
        raise Unreadable("not an EPUB: it names no book")
    book = package.xml(main)
    items = {one.get("id"): one for one in book.iter("{*}item")}
    title = next((" ".join((one.text or "").split()) for one in book.iter("{*}title")), "")
    writer = Writer(title)
    missing = 0
    for reference in book.iter("{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is None or "html" not in (item.get("media-type") or ""):
            continue
        name = posixpath.normpath(posixpath.join(posixpath.dirname(main), unquote(item.get("href") or "")))
        if not package.has(name):
            missing += 1
            continue
        chapter = package.read(name)
        root = html.xml_root(chapter)
        notes: list[str] = []
        if root is None:
            text, notes = html.decoded(chapter)
            root = html.parsed(text, notes)
        page = html.Page(writer)
        writer.gap("\n\n")
        page.children(root)
        writer.gap("\n\n")
        for sentence in notes:
            writer.note(sentence)
    if missing:
        writer.note(f"{missing} chapter{'s' * (missing > 1)} named in it are not there")
    return writer.document()
