"""Write the PDF, Word and Excel documents of the mixed set from the texts in `sources`.

    python benchmarks/retrieval/mixed/make_documents.py

Nothing but the standard library is needed, and the same texts give the same bytes.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).parent
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
LINES_A_PAGE = 40


def packed(parts: dict[str, str]) -> bytes:
    """A zip of these parts, dated 1980, so that it does not change from run to run."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), '<?xml version="1.0" encoding="UTF-8"?>\n' + content)
    return out.getvalue()


def package(main: str, kind: str, extra: dict[str, str]) -> dict[str, str]:
    """The parts that every Office file has; `kind` is what the content types call the `main` part, `extra` others."""
    start = "application/vnd.openxmlformats-officedocument."
    named = "".join(
        f'<Override PartName="/{part}" ContentType="{start}{of}+xml"/>' for part, of in {main: kind, **extra}.items()
    )
    return {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType='
        f'"application/vnd.openxmlformats-package.relationships+xml"/>{named}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{OFFICE}/officeDocument" Target="{main}"/></Relationships>',
    }


def docx(text: str) -> bytes:
    """Lines are paragraphs, `#` and `##` headings, lines of `| a | b |` rows of a table whose first row is bold."""
    body, rows = [], list[str]()

    def paragraph(line: str, style: str = "", run: str = "") -> str:
        named = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
        return f'<w:p>{named}<w:r>{run}<w:t xml:space="preserve">{escape(line)}</w:t></w:r></w:p>'

    def row(line: str, *, first: bool) -> str:
        bold = "<w:rPr><w:b/></w:rPr>" if first else ""
        cells = (paragraph(cell.strip(), run=bold) for cell in line.strip("|").split("|"))
        marked = "<w:trPr><w:tblHeader/></w:trPr>" if first else ""
        return f"<w:tr>{marked}{''.join(f'<w:tc>{cell}</w:tc>' for cell in cells)}</w:tr>"

    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append(row(line, first=not rows))
            continue
        if rows:
            body.append(f"<w:tbl>{''.join(rows)}</w:tbl>")
            rows = []
        level = len(line) - len(line.lstrip("#"))
        if line:
            body.append(paragraph(line.lstrip("# "), f"Heading{level}" if level else ""))
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{level}"><w:name w:val="heading {level}"/></w:style>'
        for level in (1, 2)
    )
    return packed(
        package("word/document.xml", "wordprocessingml.document.main", {"word/styles.xml": "wordprocessingml.styles"})
        | {
            "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{"".join(body)}</w:body></w:document>',
            "word/styles.xml": f'<w:styles xmlns:w="{WORD}">{styles}</w:styles>',
            "word/_rels/document.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
            f'Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>',
        }
    )


def xlsx(text: str) -> bytes:
    """`[Name]` begins a sheet, other lines are rows of CSV; a row of one cell is merged over five columns."""
    sheets: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            rows = sheets[line.strip("[]")] = []
        else:
            rows.append(line)
    parts, names, links, kinds = {}, "", "", {}
    for number, (name, rows) in enumerate(sheets.items(), 1):
        parts[f"xl/worksheets/sheet{number}.xml"] = f'<worksheet xmlns="{SHEET}">{"".join(_sheet(rows))}</worksheet>'
        kinds[f"xl/worksheets/sheet{number}.xml"] = "spreadsheetml.worksheet"
        names += f'<sheet name="{escape(name)}" sheetId="{number}" r:id="r{number}"/>'
        links += f'<Relationship Id="r{number}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{number}.xml"/>'
    parts["xl/workbook.xml"] = f'<workbook xmlns="{SHEET}" xmlns:r="{OFFICE}"><sheets>{names}</sheets></workbook>'
    parts["xl/_rels/workbook.xml.rels"] = f'<Relationships xmlns="{PACKAGE}/relationships">{links}</Relationships>'
    return packed(package("xl/workbook.xml", "spreadsheetml.sheet.main", kinds) | parts)


def _sheet(rows: list[str]) -> Iterator[str]:
    merged = []
    yield "<sheetData>"
    for number, line in enumerate(rows, 1):
        cells = next(csv.reader([line]), [])
        if len(cells) == 1:
            merged.append(f'<mergeCell ref="A{number}:E{number}"/>')
        yield f'<row r="{number}">'
        for letter, cell in zip("ABCDEFGH", cells, strict=False):
            if cell.replace(".", "", 1).isdigit():
                yield f'<c r="{letter}{number}"><v>{cell}</v></c>'
            elif cell:
                yield f'<c r="{letter}{number}" t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
        yield "</row>"
    yield "</sheetData>"
    if merged:
        yield f'<mergeCells count="{len(merged)}">{"".join(merged)}</mergeCells>'


def pdf(text: str) -> bytes:
    """A line a line, forty on a page; `#` and `##` are larger. Chinese by a font that every reader has."""
    chinese = any("\u4e00" <= sign <= "\u9fff" for sign in text)
    lines = text.splitlines()
    pages = [lines[first : first + LINES_A_PAGE] for first in range(0, len(lines), LINES_A_PAGE)]
    font = (
        b"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UTF16-H /DescendantFonts [<< /Type "
        b"/Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /DW 1000 /CIDSystemInfo << /Registry (Adobe) "
        b"/Ordering (GB1) /Supplement 4 >> >>] >>"
        if chinese
        else b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    )
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        font,
    ]
    for number, page in enumerate(pages):
        drawn = ["BT", "56 790 Td"]
        for line in page:
            level = len(line) - len(line.lstrip("#"))
            shown = line.lstrip("# ").encode("utf-16-be" if chinese else "cp1252").hex().upper()
            drawn += [f"/F1 {(11, 18, 14)[level]} Tf", f"<{shown}> Tj" if shown else "", "0 -18 Td"]
        stream = "\n".join([*filter(None, drawn), "ET"]).encode()
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode(),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        ]
    out = bytearray(b"%PDF-1.6\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n"
    end += f"<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return bytes(out) + end.encode()


def main() -> None:
    for source in sorted((HERE / "sources").glob("*.txt")):
        name = source.name.removesuffix(".txt")
        writer = {"pdf": pdf, "docx": docx, "xlsx": xlsx}[name.rpartition(".")[2]]
        (HERE / "documents" / name).write_bytes(writer(source.read_text("utf-8")))


if __name__ == "__main__":
    main()
