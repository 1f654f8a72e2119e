"""Names in Word's XML, whichever of its namespaces they are in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

PREFIXES = {
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main": "w",
    "http://purl.oclc.org/ooxml/wordprocessingml/main": "w",
    "http://schemas.openxmlformats.org/officeDocument/2006/math": "m",
    "http://purl.oclc.org/ooxml/officeDocument/math": "m",
    "http://schemas.openxmlformats.org/markup-compatibility/2006": "mc",
    "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing": "wp",
    "http://purl.oclc.org/ooxml/drawingml/wordprocessingDrawing": "wp",
    "urn:schemas-microsoft-com:vml": "v",
    "http://schemas.microsoft.com/office/word/2010/wordml": "w14",
}


@lru_cache(maxsize=4096)
def _named(tag: str) -> str:
    namespace, _, local = tag.removeprefix("{").rpartition("}")
    return f"{PREFIXES.get(namespace, '?')}:{local}"


def kind(element: Any) -> str:
    """An element's name with the usual prefix: `w:p`, in the strict namespace too."""
    return _named(element.tag) if isinstance(element.tag, str) else ""


def value(element: Any, name: str = "val") -> str:
    """An attribute by its name alone."""
    return next((text for key, text in element.attrib.items() if key.rpartition("}")[2] == name), "")


def on(element: Any) -> bool:
    """Whether a property that is there is not switched off again."""
    return value(element).lower() not in ("0", "false", "off")


def children(element: Any) -> Iterator[Any]:
    """The elements just inside. Of alternatives the first that holds something: a text box is there twice."""
    for one in element:
        if kind(one) == "mc:AlternateContent":
            choices = [inner for inner in one if kind(inner) in ("mc:Choice", "mc:Fallback")]
            chosen = next((inner for inner in choices if _holds(inner)), None)
            if chosen is not None:
                yield from children(chosen)
        elif kind(one):
            yield one


def _holds(element: Any) -> bool:
    wanted = ("w:t", "w:txbxContent", "m:t", "v:textpath", "w:sym")
    return any(
        kind(inner) in wanted or (kind(inner) == "wp:docPr" and value(inner, "descr")) for inner in element.iter()
    )
