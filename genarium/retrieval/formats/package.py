"""Documents that are zip files of XML (Word, OpenDocument, EPUB): their parts, however much they claim to unpack to."""

from __future__ import annotations

import io
import posixpath
import zipfile
from typing import Any
from urllib.parse import unquote

from genarium.errors import first_line
from genarium.extras import missing
from genarium.retrieval.document import Unreadable

MAX_XML = 64 * 2**20
"""The most that the parts which are read may unpack to together, in bytes: some 5,000 pages."""
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class Package:
    """A zip file's parts by name. `what` is what it should be, for messages."""

    def __init__(self, content: bytes, what: str):
        self.what, self.left = what, MAX_XML
        if content.startswith(OLE[:4]):
            raise Unreadable(f"encrypted, or in an old format, and not a {what}; save it as one without a password")
        try:
            self.archive = zipfile.ZipFile(io.BytesIO(content))
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
            raise Unreadable(f"not a {what} ({error})") from None
        # Names are compared as Windows does: case means nothing in Office's packages.
        self.names = {name.replace("\\", "/").lstrip("/").lower(): name for name in self.archive.namelist()}

    def has(self, name: str) -> bool:
        return name.lower() in self.names

    def read(self, name: str) -> bytes:
        """A part. Raises Unreadable where it is not there, encrypted, damaged, or unpacks to too much."""
        try:
            part = self.archive.getinfo(self.names[name.lower()])
            if part.flag_bits & 1:
                raise Unreadable("encrypted; save it without a password")
            with self.archive.open(part) as opened:
                # Whatever size the archive claims, no more than this is unpacked.
                content = opened.read(self.left + 1)
        except KeyError:
            raise Unreadable(f"not a {self.what}: no {name} in it") from None
        except RuntimeError:  # encrypted, or packed in a way that is not known here
            raise Unreadable("encrypted; save it without a password") from None
        except Exception as error:  # zlib, lzma and bz2 have errors of their own
            if isinstance(error, Unreadable | MemoryError):
                raise
            raise Unreadable(f"not a {self.what}, or damaged ({first_line(error)})") from None
        self.left -= len(content)
        if self.left < 0:
            raise Unreadable(f"unpacks to more than {MAX_XML // 2**20} MiB; refused")
        return content

    def xml(self, name: str) -> Any:
        """A part's root element. Raises Unreadable."""
        from lxml import etree

        try:
            root = etree.fromstring(self.read(name), parser())
        except (etree.LxmlError, ValueError) as error:
            raise Unreadable(f"a damaged {self.what}: {first_line(error)}") from None
        refuse_entities(root, self.what)
        return root

    def relations(self, part: str) -> list[tuple[str, str, str, bool]]:
        """What a part (`` for the package) refers to: id, the last word of its type, target, whether it is outside."""
        folder, name = posixpath.split(part)
        where = posixpath.join(folder, "_rels", f"{name}.rels")
        if not self.has(where):
            return []
        found = []
        for one in self.xml(where):
            target = unquote(one.get("Target") or "")
            outside = (one.get("TargetMode") or "").lower() == "external"
            if not outside:
                target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            found.append((one.get("Id") or "", (one.get("Type") or "").rpartition("/")[2], target, outside))
        return found


def parser() -> Any:
    """Of XML from anywhere: nothing is loaded, no entity replaced."""
    try:
        from lxml import etree
    except ImportError:
        raise Unreadable(str(missing("this format", "lxml"))) from None
    return etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)


def refuse_entities(root: Any, what: str) -> None:
    """No such file declares entities; one that does is there to multiply them. Raises Unreadable."""
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and (what != "EPUB" or list(declared.iterentities())):
        raise Unreadable(f"its XML declares entities, which no {what} does; refused")
