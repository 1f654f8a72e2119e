"""Single files: documents, tables, images and JSON schemas."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzz_inputs import mutations
from fuzz_inputs.folders import Format, llama

SCHEMA = {
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 8, "pattern": "^[a-z]+$"},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "kind": {"enum": ["a", "b", 3, None]},
        "tags": {"type": "array", "items": {"anyOf": [{"type": "number"}, {"const": "x"}]}, "maxItems": 3},
        "when": {"type": "string", "format": "date"},
        "root": {"$ref": "#/$defs/node"},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


def docx() -> bytes:
    from tests.retrieval import test_formats as made

    cells = made.cell("Plot") + made.cell("b", "<w:gridSpan w:val='2'/>")
    rows = f"<w:tbl><w:tr>{cells}</w:tr><w:tr>{made.cell('9')}{made.cell('c', '<w:vMerge/>')}</w:tr></w:tbl>"
    maths = f"<m:oMath>{made.POWER}{made.HALF}</m:oMath>"
    body = made.p(made.r("a"), made.TWICE, made.field("X", made.r("1"))) + made.p(maths) + rows
    level = '<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>'
    return made.word(
        body,
        footnotes=f'<w:footnote w:id="2">{made.p(made.r("x"))}</w:footnote>',
        numbering=f'<w:abstractNum w:abstractNumId="1">{level}</w:abstractNum>'
        '<w:num w:numId="3"><w:abstractNumId w:val="1"/></w:num>',
    )


def xlsx() -> bytes:
    import openpyxl

    from tests.retrieval import test_quoted_rows

    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in test_quoted_rows.ROWS[:8]:
        book.active.append(row)
    book.active.merge_cells("A1:B2")
    book.save(out)
    return out.getvalue()


def html() -> bytes:
    from tests.retrieval import test_quoted_rows

    return test_quoted_rows.html_file()[:900] + (
        b"</table><p style='visibility:hidden'>a<b>b</b><select><option label=x>y</select><math><mfrac><mi>a</mi>"
        b"<mi>b</mi></mfrac></math><ruby>a<rt>b</rt></ruby><input value=a><img alt=b><sup>2</sup><br><q>x</q>"
        b"<svg><title>a</title><text>b</text></svg>"
    )


def pdf() -> bytes:
    from tests.retrieval.test_documents import make_pdf

    return make_pdf(["one two", "three"])


def markdown() -> bytes:
    from tests.retrieval import test_quoted_rows

    return test_quoted_rows.markdown_file()[:400]


def image(kind: str, mode: str = "RGB") -> Callable[[], bytes]:
    def make() -> bytes:
        from PIL import Image

        out = io.BytesIO()
        drawn = Image.linear_gradient("L").resize((24, 16)).convert(mode)
        more: dict[str, Any] = (
            {"save_all": True, "append_images": [drawn.rotate(90)]} if kind in ("gif", "tiff") else {}
        )
        drawn.save(out, kind, **more)
        return out.getvalue()

    return make


def _document(ending: str, folder: Path) -> Callable[[bytes], None]:
    def run(content: bytes) -> None:
        from genarium.retrieval import documents
        from genarium.retrieval.passages import passages

        read = documents.parse(f"a.{ending}", content)
        for one in passages(read):
            assert read.text[one.start : one.end] == one.text

    return run


def _table(ending: str, folder: Path) -> Callable[[bytes], None]:
    def run(content: bytes) -> None:
        from genarium.data.tables import read_table

        (folder / f"a.{ending}").write_bytes(content)
        table = read_table(folder / f"a.{ending}")
        table.texts("text")
        table.dicts()

    return run


def _image(ending: str, folder: Path) -> Callable[[bytes], None]:
    def run(content: bytes) -> None:
        from genarium.data.images import read_image, read_mask

        (folder / f"a.{ending}").write_bytes(content)
        read_image(folder / f"a.{ending}").convert("RGB").resize((8, 8))
        read_mask(folder / f"a.{ending}")

    return run


def _schema(ending: str, folder: Path) -> Callable[[bytes], None]:
    from genarium.engines.text.native import NativeText
    from genarium.engines.text.protocol import TextRequest

    engine = NativeText(llama(folder / "llama"))

    def run(content: bytes) -> None:
        asked = content.decode("utf-8", "surrogateescape")
        list(engine.write(["The fox"], TextRequest(max_new_tokens=6, json_schema=asked)))

    return run


CSV = b'text;label\n"a;b";1,5\nx y;"2"\n' + "Größe;3\n".encode()
LINES = [
    json.dumps({"text": "a b", "label": 1.5, "more": {"a": [1, None]}}),
    json.dumps({"text": "Größe", "label": ""}),
]
FORMATS = (
    Format("docx", docx, mutations.of_zip, _document),
    Format("xlsx", xlsx, mutations.of_zip, _document),
    Format("html", html, mutations.of_bytes, _document),
    Format("md", markdown, mutations.of_bytes, _document),
    Format("pdf", pdf, mutations.of_bytes, _document),
    Format("csv", lambda: CSV, mutations.of_bytes, _table),
    Format("jsonl", lambda: "\n".join(LINES).encode(), mutations.of_bytes, _table),
    Format("json", f"[{','.join(LINES)}]".encode, mutations.of_json, _table),
    Format("schema", lambda: json.dumps(SCHEMA).encode(), mutations.of_json, _schema),
    Format("png", image("png", "RGBA"), mutations.of_bytes, _image),
    Format("jpg", image("jpeg"), mutations.of_bytes, _image),
    Format("gif", image("gif", "P"), mutations.of_bytes, _image),
    Format("webp", image("webp"), mutations.of_bytes, _image),
    Format("tiff", image("tiff", "I;16"), mutations.of_bytes, _image),
)
