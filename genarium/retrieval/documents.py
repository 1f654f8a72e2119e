"""Files as text: what they say, where their sections begin and where their pages do.

For plain text, Markdown and source code the text is the file's own, so that character ranges are the file's (line
ends counted as one). For HTML, PDF, Word, tables and subtitles it is what a reader sees, without the markup. Rows of
tables are kept apart: each is quoted whole, and read with the headings of its columns; so is a sentence of subtitles,
read without its time.
"""

from __future__ import annotations

import ast
import os
import re
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from genarium import files
from genarium.data import encodings
from genarium.errors import BadInput
from genarium.retrieval.document import MAX_TEXT, Document, Section, Unreadable, line_starts
from genarium.retrieval.formats import recording

MAX_FILE = 256 * 2**20
"""Bytes. A longer file is skipped, as is one that unpacks to more text than MAX_TEXT characters."""
SOURCE = frozenset(
    ".c .cc .cpp .cs .css .cu .dart .go .h .hpp .java .jl .js .json .jsx .kt .lua .m .php .pl .pyx .r .rb .rs .scala "
    ".sh .sql .swift .toml .ts .tsx .yaml .yml .zig".split()
)


def load(path: Path) -> bytes:
    """The file's bytes, all from one moment. Raises Unreadable where it changed meanwhile or can't be read."""
    try:
        # Not blocking: a pipe under a document's name would wait for ever.
        opened = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(opened, "rb") as file:
            before = os.fstat(opened)
            if not stat.S_ISREG(before.st_mode):
                raise Unreadable("not an ordinary file")
            if (reason := recording(path.suffix.lower())) and not file.peek(5).startswith(b"%PDF-"):
                raise Unreadable(reason)
            if before.st_size > MAX_FILE:
                raise Unreadable(f"larger than {MAX_FILE // 2**20} MiB; split it")
            content = file.read(MAX_FILE + 1)
            after = os.fstat(opened)
    except OSError as error:
        raise Unreadable(f"can't be read: {files.reason(error)}") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(content) != after.st_size:
        raise Unreadable("changed while it was read; index again when it is finished")
    return content


def parse(name: str, content: bytes) -> Document:
    """The document in these bytes; the ending of `name` says how to read them. Raises Unreadable."""
    try:
        document = _read(Path(name).suffix.lower(), content)
    except RecursionError:
        raise Unreadable("nested too deep to be read") from None
    if len(document.text) > MAX_TEXT:
        raise Unreadable(f"more than {MAX_TEXT // 10**6} million characters of text; split it")
    if not document.text.strip():
        raise Unreadable("nothing to read in it")
    return document


def _read(suffix: str, content: bytes) -> Document:
    from genarium.retrieval.formats import binary

    if (reader := binary(suffix, content)) is not None:
        return reader(content)
    decoded = decode(content)
    document = _reader(suffix)(decoded.text.replace("\r\n", "\n").replace("\r", "\n"))
    return replace(document, notes=[*decoded.notes, *document.notes])


def _reader(suffix: str) -> Callable[[str], Document]:
    """How text is read: each keeps it as it stands, but for tables."""
    if suffix in (".md", ".markdown"):
        from genarium.retrieval.formats.markdown import markdown

        return markdown
    if suffix in (".csv", ".tsv", ".tab", ".psv"):
        from genarium.retrieval.formats.csv_table import table

        return lambda text: table(text, "\t" if suffix in (".tsv", ".tab") else None)
    if suffix in (".srt", ".vtt"):
        from genarium.retrieval.formats.subtitles import subtitles

        return lambda text: subtitles(text) or plain(text)
    if suffix in (".py", ".pyi"):
        return python
    return source if suffix in SOURCE else plain


def decode(content: bytes) -> encodings.Decoded:
    """Bytes as text. Raises Unreadable if binary."""
    try:
        return encodings.decode(content)
    except BadInput as error:
        raise Unreadable(str(error)) from None


# CHAPTER and a number after an empty line, or a line of capitals between two: how plain books head their chapters.
BOOK_HEADING = re.compile(
    r"(?:\A|\n\s*\n)[ \t]*((?:(?i:chapter|book|part|act|scene)[ \t]+(?:[IVXLC]+|\d+)\b[^\n]{0,70})|"
    r"(?:[^\n\W\d_a-z][^\na-z]{2,69}(?=\n\s*\n)))(?=\n)"
)
# A line with a rule of one sign under it: reStructuredText and many READMEs.
UNDERLINED = re.compile(r"^(\S[^\n]{0,98})\n([=~^\"'#*+-])\2{2,}[ \t]*$", re.MULTILINE)


def plain(text: str) -> Document:
    """Plain text: chapters of a book, or headings with a rule under them."""
    found = [(m.start(1), " ".join(m[1].split())) for m in (*BOOK_HEADING.finditer(text), *UNDERLINED.finditer(text))]
    headings = [(start, heading) for start, heading in sorted(found) if any(c.isalpha() for c in heading)]
    return Document(text, [Section(start, heading) for start, heading in headings])


def python(text: str) -> Document:
    """Python: a section a class and a function, headed `Class.method`."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source(text)  # another Python's, or a piece of one
    starts = line_starts(text)
    sections: list[Section] = []

    def visit(body: list[ast.stmt], outer: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                sections.append(Section(starts[first - 1], outer + node.name))
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{outer}{node.name}.")

    visit(tree.body, "")
    return Document(text, sections)


BLOCK = re.compile(r"(?:\A|\n[ \t]*\n)([\w#/@\"'<\[{*-][^\n]*)")


def source(text: str) -> Document:
    """Source code in any language: a section a block that begins at the margin after an empty line."""
    return Document(text, [Section(m.start(1), m[1].strip()[:80]) for m in BLOCK.finditer(text)])
