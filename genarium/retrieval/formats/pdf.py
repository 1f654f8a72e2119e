"""PDF: its text page by page, through pypdf, and what people typed into its forms and notes."""

from __future__ import annotations

import io
import logging
import re
from typing import Any

from genarium.extras import missing
from genarium.retrieval.document import Document, Unreadable
from genarium.retrieval.formats.writer import Writer

SHOWN = 5


def pdf(content: bytes) -> Document:
    """The document. Scanned pages have no text: a PDF of nothing else is refused. Raises Unreadable."""
    try:
        import pypdf
        from pypdf.errors import DependencyError
    except ImportError:
        raise Unreadable(str(missing("PDF", "pypdf"))) from None
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns of every flaw it mends
    writer = Writer()
    empty: list[int] = []
    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("encrypted; save it without a password")
        for number, page in enumerate(reader.pages, 1):
            writer.pages.append(writer.length)
            text = page.extract_text().strip()
            typed = _typed(page)
            writer.add("\n".join([text, *typed] if text else typed) + "\n\n")
            empty += [number] * (not text and not typed)
        if reader.attachments:
            writer.note(f"files attached to it were not read: {', '.join(list(reader.attachments)[:SHOWN])}")
        form: Any = reader.root_object.get("/AcroForm")
        if form is not None and "/XFA" in form.get_object():
            writer.note("a form in it (XFA) was not read; print it to a new PDF")
    except Unreadable:
        raise
    except DependencyError:
        raise Unreadable(str(missing("its encryption, AES,", "cryptography"))) from None
    except Exception as error:  # pypdf meets broken files with errors of every kind
        raise Unreadable(f"damaged or unusual PDF ({type(error).__name__})") from None
    document = writer.document()
    if not document.text.strip():
        raise Unreadable("a PDF without text, scanned pages perhaps; run it through text recognition (OCR) first")
    _note_losses(writer, document.text, empty)
    return Document(document.text, document.sections, writer.pages, document.rows, writer.notes)


def _note_losses(writer: Writer, text: str, empty: list[int]) -> None:
    if empty:
        listed = ", ".join(map(str, empty[:SHOWN])) + (", …" if len(empty) > SHOWN else "")
        pages = f"page {listed} has" if len(empty) == 1 else f"pages {listed} have"
        writer.note(f"{pages} no text, scanned perhaps; text recognition (OCR) would find it")
    strange = len(re.findall("[\ufffd\ue000-\uf8ff]|/g\\d+|\\(cid:\\d+\\)", text))
    if strange > len(text) / 50:
        writer.note("its fonts do not say which letters they show; much of its text can't be read")


def _typed(page: Any) -> list[str]:
    """What was typed into the page: the fields of a form, and notes."""
    said = []
    for reference in page.get("/Annots") or []:
        one = reference.get_object()
        kind = one.get("/Subtype")
        if kind == "/Widget":
            above = one["/Parent"].get_object() if "/Parent" in one else {}
            name, value = one.get("/T") or above.get("/T"), one.get("/V", above.get("/V"))
            if isinstance(value, str) and value.strip() and not value.startswith("/"):
                said.append(f"{name}: {value}" if name else value)
        elif kind in ("/FreeText", "/Text", "/Highlight", "/StrikeOut", "/Underline") and one.get("/Contents"):
            said.append(str(one["/Contents"]))
    return [" ".join(line.split()) for line in said]
