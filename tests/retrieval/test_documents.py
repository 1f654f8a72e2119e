"""Readers: the text is there, headings and pages are where they are, and hostile files are refused cheaply."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from genarium.retrieval import documents
from genarium.retrieval.document import Unreadable

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def make_docx(body: str, *, before: str = "") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        xml = f'<?xml version="1.0"?>{before}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
        archive.writestr("word/document.xml", xml)
    return packed.getvalue()


def make_pdf(pages: list[str]) -> bytes:
    """A PDF with a line of text on each page, written by hand."""
    count = len(pages)
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(count))
    bodies = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET"
        resources = "/Resources << /Font << /F1 3 0 R >> >>"
        bodies.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {resources} /Contents {5 + 2 * number} 0 R >>"
        )
        bodies.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n{table}trailer\n<< /Size {len(bodies) + 1} /Root 1 0 R >>\n"
    return out + f"{end}startxref\n{len(out)}\n%%EOF\n".encode()


def test_markdown_is_read_as_it_stands_with_headings_under_headings() -> None:
    text = "# Install\n\nFirst.\n\n## From source\n\n```\n# not a heading\n```\n\nThen make.\n\n# Use\n\nRun it.\n"
    document = documents.parse("README.md", text.encode())
    assert document.text == text
    assert document.heading(text.index("Then make")) == "Install › From source"
    assert document.heading(text.index("Run it")) == "Use"


def test_chapters_of_a_plain_book_are_sections() -> None:
    text = (
        "\n\nCHAPTER I. The Start\n\nIt began. I SAID NO.\n\nTHE SECOND TALE\n\nIt went on.\n\nRead me\n=======\n\nEnd."
    )
    document = documents.parse("book.txt", text.encode())
    assert [section.heading for section in document.sections] == ["CHAPTER I. The Start", "THE SECOND TALE", "Read me"]
    assert [text[section.start :].split("\n", maxsplit=1)[0] for section in document.sections] == [
        section.heading for section in document.sections
    ]


def test_python_functions_and_methods_are_sections() -> None:
    text = "import os\n\n@cache\ndef first():\n    return 1\n\nclass Shape:\n    def area(self):\n        return 2\n"
    document = documents.parse("shapes.py", text.encode())
    assert [(s.heading, text[s.start :].split("\n", maxsplit=1)[0]) for s in document.sections] == [
        ("first", "@cache"),
        ("Shape", "class Shape:"),
        ("Shape.area", "    def area(self):"),
    ]
    broken = "def ok():\n    pass\n\ndef broken(:\n"
    assert documents.parse("old.py", broken.encode()).text == broken
    rust = "use std;\n\nfn main() {\n    go();\n\n    stop();\n}\n\nfn other() {}\n"
    headings = [section.heading for section in documents.parse("main.rs", rust.encode()).sections]
    assert headings == ["use std;", "fn main() {", "fn other() {}"]


def test_a_web_page_is_what_is_shown() -> None:
    page = (
        "<html><head><title>On fish</title><style>p{}</style></head><body><h1>Fish</h1><p>Salt\n <b>water</b>.</p>"
        "<script>no()</script><h2>Cod</h2><ul><li>cold</li><li>deep</li></ul><pre>a\n  b</pre></body></html>"
    )
    document = documents.parse("fish.html", page.encode())
    assert document.text.strip() == "Fish\n\nSalt water.\n\nCod\n\ncold\ndeep\n\na\n  b"
    assert document.heading(document.text.index("deep")) == "Fish › Cod"
    latin = "<meta charset=iso-8859-1><p>Größe</p>".encode("latin-1")
    assert documents.parse("size.html", latin).text.strip() == "Größe"


def test_a_pdf_knows_its_pages() -> None:
    document = documents.parse("two.pdf", make_pdf(["The cat sat on the mat", "The dog lay on the log"]))
    assert document.page(document.text.index("cat")) == 1
    assert document.page(document.text.index("dog")) == 2


def test_a_word_file_has_paragraphs_tables_headings_and_pages() -> None:
    body = (
        '<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Rules</w:t></w:r></w:p>'
        "<w:p><w:r><w:t>No </w:t></w:r><w:r><w:t>smoking.</w:t></w:r></w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>cell</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
        "<w:p><w:r><w:lastRenderedPageBreak/><w:t>Page two.</w:t></w:r></w:p>"
    )
    document = documents.parse("rules.docx", make_docx(body))
    assert document.text == "Rules\n\nNo smoking.\n\ncell\n\nPage two.\n\n"
    assert document.heading(document.text.index("cell")) == "Rules"
    assert document.page(document.text.index("cell")) == 1
    assert document.page(document.text.index("two")) == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1", "cp1251"])
def test_other_encodings_are_read(encoding: str) -> None:
    russian = "Широкая электрификация южных губерний даст мощный толчок подъёму сельского хозяйства. " * 5
    german = "Die Größe des Käfers überrascht; er läuft über fünf Hügel und hört trotzdem nicht auf. " * 5
    text = russian if encoding == "cp1251" else german
    assert documents.parse("note.txt", text.encode(encoding)).text == text


def test_a_huge_single_line_and_windows_line_ends() -> None:
    assert len(documents.parse("line.txt", b"word " * 400_000).text) == 2_000_000
    assert documents.parse("dos.txt", b"one\r\ntwo\r\n").text == "one\ntwo\n"


def encrypted_pdf() -> bytes:
    import pypdf

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(make_pdf(["secret"])))
    writer.encrypt("password", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("noise.txt", bytes(range(256)) * 20, "binary"),
        ("controls.txt", b"\x01\x02\x03abc" * 50, "binary"),
        ("empty.md", b" \n", "nothing to read"),
        ("scan.pdf", make_pdf(["", ""]), "without text"),
        ("cut.pdf", make_pdf(["whole"])[:120], "damaged"),
        ("secret.pdf", encrypted_pdf(), "encrypted"),
        ("old.docx", b"\xd0\xcf\x11\xe0" + bytes(600), "not a Word file"),
        ("other.docx", make_docx("")[:40], "not a Word file"),
        ("cut.docx", make_docx("<w:p>"), "damaged"),
    ],
    # Bytes hold the time they were packed at, which would tell one process's tests from another's.
    ids=lambda part: part if isinstance(part, str) else "bytes",
)
def test_what_cannot_be_read_says_why(name: str, content: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        documents.parse(name, content)


BOMBS = """
import io, resource, sys, zipfile
resource.setrlimit(resource.RLIMIT_AS, (700 * 2**20, 700 * 2**20))
from genarium.retrieval import document, documents
for name in sys.argv[1:]:
    try:
        documents.parse(name, open(name, "rb").read())
        print("read")
    except document.Unreadable as error:
        print(error)
"""


def test_bombs_are_refused_in_little_memory(tmp_path: Path) -> None:
    """In a process that may not pass 700 MiB: a zip of nothing but blanks, entities that multiply, deep HTML."""
    blanks = tmp_path / "blanks.docx"
    with zipfile.ZipFile(blanks, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("word/document.xml", "w") as part:
        for _ in range(300):
            part.write(b" " * 2**20)
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    laughs = tmp_path / "laughs.docx"
    dtd = f'<!DOCTYPE w [<!ENTITY l0 "ha">{entities}]>'
    laughs.write_bytes(make_docx("<w:p><w:r><w:t>&l9;</w:t></w:r></w:p>", before=dtd))
    deep = tmp_path / "deep.html"
    deep.write_bytes(b"<div>" * 200_000 + b"x")
    ran = subprocess.run(
        [sys.executable, "-c", BOMBS, *map(str, (blanks, laughs, deep))],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    refused = ran.stdout.splitlines()
    assert "unpacks to more than 64 MiB" in refused[0]
    assert "declares entities" in refused[1]
    assert len(refused) == 3


def test_a_file_that_changes_while_it_is_read_is_not_taken(tmp_path: Path) -> None:
    growing = tmp_path / "growing.txt"
    growing.write_bytes(b"line\n" * 2_000_000)
    stop = threading.Event()

    def grow() -> None:
        with growing.open("ab", buffering=0) as out:
            while not stop.is_set():
                out.write(b"more\n")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        with pytest.raises(Unreadable, match="changed while it was read"):
            [documents.load(growing) for _ in range(50)]
    finally:
        stop.set()
        writer.join()
    assert documents.load(growing) == growing.read_bytes()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(Unreadable, match="not an ordinary file"):
        documents.load(tmp_path / "pipe.txt")
