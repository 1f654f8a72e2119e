"""One file format a file: its bytes as a `Document`, by the name's ending.

Files come from anywhere: what would unpack to much more than it is (a zip bomb, an XML entity that doubles itself) is
refused while it is read, with little of it in memory. Each reader raises Unreadable, never another error.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from genarium.retrieval.document import Document, Unreadable

READERS = {
    "docx": "word:docx", "docm": "word:docx", "dotx": "word:docx", "dotm": "word:docx", "pdf": "pdf:pdf",
    "html": "html:html", "htm": "html:html", "xhtml": "html:xhtml", "xht": "html:xhtml", "xlsx": "excel:xlsx",
    "xlsm": "excel:xlsx", "xltx": "excel:xlsx", "odt": "opendocument:odt", "ott": "opendocument:odt",
    "ods": "opendocument:odt", "odp": "opendocument:odt", "epub": "epub:epub",
}  # fmt: skip
OTHERS = {
    "doc": "an old Word file; save it as .docx",
    "dot": "an old Word file; save it as .docx",
    "xls": "an old Excel file; save it as .xlsx or .csv",
    "xlsb": "a binary Excel file; save it as .xlsx or .csv",
    "ppt": "an old PowerPoint file; save it as PDF",
    "pptx": "a PowerPoint file; save it as PDF",
    "rtf": "an RTF file; save it as .docx",
    "pages": "a Pages file; export it as .docx or PDF",
    "numbers": "a Numbers file; export it as .xlsx or .csv",
    "key": "a Keynote file; export it as PDF",
    "mobi": "a Kindle book; convert it to EPUB",
    "azw3": "a Kindle book; convert it to EPUB",
    "djvu": "a DjVu file; convert it to PDF with its text",
    "ps": "a PostScript file; convert it to PDF",
    "msg": "an Outlook message; save it as text",
    "eml": "an e-mail with its encoding; save it as text or PDF",
    "mht": "a web archive; save the page as HTML or PDF",
    "mhtml": "a web archive; save the page as HTML or PDF",
    "zip": "an archive; unpack it",
    "gz": "compressed; unpack it",
    "7z": "an archive; unpack it",
    "rar": "an archive; unpack it",
    "tar": "an archive; unpack it",
}
IMAGES = frozenset("avif bmp gif heic ico jpeg jpg png svg tif tiff webp".split())
SOUND = frozenset("aac aif aiff amr caf flac m4a mid midi mka mp3 oga ogg opus wav wma".split())
VIDEO = frozenset("3gp avi flv m4v mkv mov mp4 mpeg mpg ogv webm wmv".split())
Reader = Callable[[bytes], Document]


def recording(suffix: str) -> str:
    """Why a file is left out whose content is sound or video, by its ending; empty for another."""
    ending = suffix.removeprefix(".")
    kind = "sound" if ending in SOUND else "video" if ending in VIDEO else ""
    seen = ", as caption writes of what is seen" if kind == "video" else ""
    return kind and f"{kind}; what is said in it can't be read yet, a transcript beside it (.txt, .srt, .vtt) is{seen}"


def binary(suffix: str, content: bytes) -> Reader | None:
    """What reads a file that is not its own text; None for one that is. Raises Unreadable for kinds not read here."""
    ending = suffix.removeprefix(".")
    if content.startswith(b"%PDF-"):
        ending = "pdf"  # whatever it is called
    elif ending in ("doc", "dot") and content.startswith(b"PK\x03\x04"):
        ending = "docx"
    elif content.startswith(b"{\\rtf"):
        ending = "rtf"
    elif ending in ("doc", "xls") and b"<html" in content[:1000].lower():
        ending = "html"
    if ending in OTHERS and (ending != "key" or b"\x00" in content[:1000]):
        raise Unreadable(OTHERS[ending])
    if ending in IMAGES:
        raise Unreadable("an image; text in images is not read")
    if reason := recording(suffix):
        raise Unreadable(reason)
    if ending not in READERS:
        return None
    module, _, function = READERS[ending].partition(":")
    found: Reader = getattr(import_module(f"genarium.retrieval.formats.{module}"), function)
    return found
