"""Formats: a document is read whole, its tables keep their headings, and what of it is not read is said."""

from __future__ import annotations

import io
import re
import zipfile

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from genarium.retrieval import documents
from genarium.retrieval.document import Document, Unreadable
from genarium.retrieval.formats.grid import Grid, GridCell

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/wordprocessingml/main"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SPACES = (
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:v="urn:schemas-microsoft-com:vml" xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
)


def packed(parts: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def related(targets: dict[str, str]) -> str:
    each = "".join(
        f'<Relationship Id="r{n}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets.items())
    )
    return f'<Relationships xmlns="{RELATIONS}">{each}</Relationships>'


def word(body: str, *, part: str = "word/document.xml", ns: str = W, **others: str) -> bytes:
    """A Word file; `others` are the inner XML of its footnotes, comments, numbering, styles, header …"""
    parts: dict[str, str | bytes] = {"_rels/.rels": related({"officeDocument": part})}
    parts[part] = f'<w:document xmlns:w="{ns}" {SPACES}><w:body>{body}</w:body></w:document>'
    folder, _, name = part.rpartition("/")
    parts[f"{folder}/_rels/{name}.rels"] = related({kind: f"{kind}.xml" for kind in others})
    for kind, inner in others.items():
        parts[f"{folder}/{kind}.xml"] = f'<w:{kind} xmlns:w="{ns}" {SPACES}>{inner}</w:{kind}>'
    return packed(parts)


def p(*runs: str, properties: str = "") -> str:
    return f"<w:p>{f'<w:pPr>{properties}</w:pPr>' if properties else ''}{''.join(runs)}</w:p>"


def r(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def shown(body: str, **others: str) -> str:
    return documents.parse("a.docx", word(body, **others)).text.strip()


def field(code: str, result: str) -> str:
    parts = [f'<w:fldChar w:fldCharType="{kind}"/>' for kind in ("begin", "separate", "end")]
    return f"<w:r>{parts[0]}<w:instrText>{code}</w:instrText>{parts[1]}</w:r>{result}<w:r>{parts[2]}</w:r>"


BOX = f"<wps:txbx><w:txbxContent>{p(r('In the box.'))}</w:txbxContent></wps:txbx>"
TWICE = (
    f"<w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing>{BOX}</w:drawing></mc:Choice><mc:Fallback><w:pict>"
    f"<v:textbox><w:txbxContent>{p(r('In the box.'))}</w:txbxContent></v:textbox></w:pict></mc:Fallback>"
    "</mc:AlternateContent></w:r>"
)
POWER = "<m:sSup><m:e><m:r><m:t>c</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup>"
HALF = (
    "<m:f><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>a+b</m:t></m:r></m:den></m:f>"
    "<m:rad><m:radPr><m:degHide/></m:radPr><m:deg/><m:e><m:r><m:t>x</m:t></m:r></m:e></m:rad>"
)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            p("<w:r><w:t>1</w:t><w:noBreakHyphen/><w:t>24 ho</w:t><w:softHyphen/><w:t>urs</w:t></w:r>"),
            "1\u201124 hours",
        ),
        (p("<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r>"), "a\tb\nc"),
        (p('<w:r><w:sym w:font="Symbol" w:char="F061"/><w:sym w:font="Wingdings" w:char="F0FC"/></w:r>'), "α✓"),
        (p(r("\uf062", '<w:rFonts w:ascii="Symbol"/>')), "β"),
        (p(r("E="), f"<m:oMath><m:r><m:t>m</m:t></m:r>{POWER}</m:oMath>"), "E=mc^2"),
        (p(f"<m:oMathPara><m:oMath>{HALF}</m:oMath></m:oMathPara>"), "1/(a+b)√(x)"),
        (p(r("Before."), TWICE), "Before.\n\nIn the box."),
        (p(r("a "), f"<w:ins>{r('new')}</w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del>"), "a new"),
        (p(f"<w:moveFrom>{r('went')}</w:moveFrom><w:moveTo>{r('came')}</w:moveTo>"), "came"),
        (
            p(field(' PAGEREF x \\h "', r("12")), r(" of "), f'<w:fldSimple w:instr="N">{r("20")}</w:fldSimple>'),
            "12 of 20",
        ),
        (p(f"<w:hyperlink>{r('the link')}</w:hyperlink>"), "the link"),
        (f"<w:sdt><w:sdtPr/><w:sdtContent>{p(r('Controlled.'))}</w:sdtContent></w:sdt>", "Controlled."),
        (p(r("10"), r("6", '<w:vertAlign w:val="superscript"/>'), r(" m")), "10^6 m"),
        (p(r("One "), properties="<w:rPr><w:del/></w:rPr>") + p(r("line.")), "One line."),
        (
            p("<w:r><w:drawing><wp:inline><wp:docPr descr='A map of the harbour'/></wp:inline></w:drawing></w:r>"),
            "A map of the harbour",
        ),
    ],
)
def test_word_text_is_what_a_reader_sees(body: str, text: str) -> None:
    assert shown(body) == text


def test_word_files_by_word_online_and_in_the_strict_namespace_are_read() -> None:
    assert documents.parse("a.docx", word(p(r("Hello")), part="word/document2.xml")).text == "Hello\n\n"
    assert documents.parse("a.docm", word(p(r("Hello")), ns=STRICT)).text == "Hello\n\n"


def test_word_notes_comments_headers_and_numbers_are_read() -> None:
    footnotes = f'<w:footnote w:id="0" w:type="separator">{p()}</w:footnote>'
    footnotes += f'<w:footnote w:id="2">{p(r("Ask Ada."))}</w:footnote>'
    comments = f'<w:comment w:id="7" w:author="Bob">{p(r("Really?"))}</w:comment>'
    level = '<w:lvl w:ilvl="{}"><w:start w:val="1"/><w:numFmt w:val="{}"/><w:lvlText w:val="{}"/></w:lvl>'
    numbering = (
        f'<w:abstractNum w:abstractNumId="1">{level.format(0, "decimal", "%1.")}'
        f"{level.format(1, 'lowerLetter', '%1.%2)')}"
        '</w:abstractNum><w:num w:numId="3"><w:abstractNumId w:val="1"/></w:num>'
    )
    number = '<w:numPr><w:ilvl w:val="{}"/><w:numId w:val="3"/></w:numPr>'
    body = (
        p(r("First"), '<w:r><w:footnoteReference w:id="2"/></w:r>', properties=number.format(0))
        + p(r("Second"), '<w:r><w:commentReference w:id="7"/></w:r>', properties=number.format(0))
        + p(r("Below"), properties=number.format(1))
    )
    text = shown(body, footnotes=footnotes, comments=comments, numbering=numbering, header=p(r("Draft of May")))
    assert text == (
        "1. First[2]\n\n[2] Ask Ada.\n\n2. Second\n\n[Comment Bob] Really?\n\n2.a) Below\n\nHeader: Draft of May"
    )


def test_word_headings_are_known_in_any_language_and_hidden_text_is_said() -> None:
    styles = '<w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>'
    body = p(r("Regeln"), properties='<w:pStyle w:val="berschrift1"/>') + p(r("Ja."), r("geheim", "<w:vanish/>"))
    document = documents.parse("a.docx", word(body + "<w:altChunk/>", styles=styles))
    assert (document.text, document.heading(10)) == ("Regeln\n\nJa.\n\n", "Regeln")
    assert [note.partition(" (")[0] for note in document.notes] == [
        "a document that is embedded in it",
        "hidden text in it was left out",
    ]


def cell(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{p(r(text))}</w:tc>"


def test_a_word_table_keeps_its_headings_also_where_cells_are_merged() -> None:
    rows = [
        ("Plot", "Holder", "Fee"),
        ("8", "Ada", "12"),
        ("9", None, "13"),
    ]
    xml = ""
    for plot, holder, fee in rows:
        down = '<w:vMerge w:val="restart"/>' if holder == "Ada" else "" if holder else "<w:vMerge/>"
        xml += f"<w:tr>{cell(plot)}{cell(holder or '', down)}{cell(fee)}</w:tr>"
    wide = f"<w:tr>{cell('10')}{cell('to let', '<w:gridSpan w:val=' + chr(34) + '2' + chr(34) + '/>')}</w:tr>"
    document = documents.parse("a.docx", word(f"<w:tbl>{xml}{wide}</w:tbl>"))
    assert document.text.strip().split("\n") == [
        "Plot: 8; Holder: Ada; Fee: 12",
        "Plot: 9; Holder: Ada; Fee: 13",
        "Plot: 10; Holder / Fee: to let",
    ]
    assert [document.text[row.start : row.end] for row in document.rows] == [row.reading for row in document.rows]


def html(body: str) -> str:
    return documents.parse("a.html", body.encode()).text.strip()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<details><summary>How much?</summary>Ten euros.</details>", "How much?\n\nTen euros."),
        ("<select><option>Red<option>Blue</select>", "Red\nBlue"),
        ("<fieldset><legend>Contact</legend>Call us</fieldset>", "Contact\n\nCall us"),
        ("<button>Buy</button><button>Sell</button><input type=submit value=Go>", "Buy Sell Go"),
        ("<label>Name</label><input value=Ada><label>Age</label>", "Name Ada Age"),
        ("<p>Hy<b>phen</b>ate<i>d</i>.</p>", "Hyphenated."),
        ("<p>See <label>this</label>.</p>", "See this."),
        ("<p hidden>no</p><p style='color:red; DISPLAY : none'>no</p><p>yes</p>", "yes"),
        ("<div style='visibility:hidden'>no<b style='visibility:visible'>yes</b></div>", "yes"),
        ("<template>no</template><noscript>no</noscript><script>no</script><p>yes", "yes"),
        ("<p>one<br>two<br><br>three</p>", "one\ntwo\nthree"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("<p>Here<img alt='a map'>, and</p>", "Here a map, and"),
        ("<p>10<sup>6</sup> m<sup>2</sup>, H<sub>2</sub>O</p>", "10^6 m2, H2O"),
        ("<p>&ldquo;caf&eacute;&rdquo; so&shy;ft</p>", "“café” soft"),
        ("<math><mfrac><mn>1</mn><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow></mfrac></math>", "1/(a + b)"),
        ("<ul><li>cold<li>deep</ul>after", "cold\ndeep\n\nafter"),
    ],
)
def test_a_page_says_what_it_shows(body: str, text: str) -> None:
    assert html(body) == text


def test_tables_of_a_page_keep_their_headings_and_layouts_are_none() -> None:
    body = (
        "<table><caption>Plots</caption><thead><tr><th>Plot<th>Holder<th colspan=2>Fee</thead>"
        "<tr><td>8<td rowspan=2>Ada<td>1<td>2<tr><td>9<td colspan=2>none</table>"
    )
    assert html(body).split("\n") == [
        "Plots",
        "Plot: 8; Holder: Ada; Fee: 1; Fee: 2",
        "Plot: 9; Holder: Ada; Fee: none",
    ]
    assert html("<table><tr><th>Name<td>Ada<tr><th>Born<td>1815</table>").split("\n") == ["Name: Ada", "Born: 1815"]
    assert html("<table><tr><td><h1>Left</h1>one<td><p>two</p></table>") == "Left\n\none\n\ntwo"


def test_a_first_row_in_bold_is_a_heading_where_words_alone_do_not_tell() -> None:
    rows = [("Task", "Owner"), ("Paint the fence", "Ada")]
    said = ["Task: Paint the fence; Owner: Ada"]
    bold = ["".join(f"<td><b>{one}</b>" for one in rows[0]), "".join(f"<td>{one}" for one in rows[1])]
    assert html(f"<table><tr>{'<tr>'.join(bold)}</table>").split("\n") == said
    cells = [[f"<w:tc>{p(r(one, '<w:b/>' if row is rows[0] else ''))}</w:tc>" for one in row] for row in rows]
    table = "".join(f"<w:tr>{''.join(row)}</w:tr>" for row in cells)
    assert shown(f"<w:tbl>{table}</w:tbl>").split("\n") == said
    assert html("<table><tr><td>Name<td>Ada<tr><td>Home<td>London</table>").split("\n") == ["Name; Ada", "Home; London"]


def test_a_heading_inside_a_heading_is_found_in_order() -> None:
    document = documents.parse("a.html", b"<h1>One<div><h2>Two</h2></div></h1><p>text")
    assert [section.start for section in document.sections] == [0, 5]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"<meta charset=latin1><p>\x93Pe\xf1\xf3n\x94", "“Peñón”"),
        ('<?xml version="1.0" encoding="shift_jis"?><p>①港'.encode("cp932"), "①港"),
        ("<!-- charset=koi8-r --><meta charset=utf-8><p>Größe".encode(), "Größe"),
        ("<p>Größe".encode("utf-16"), "Größe"),
        ("<meta charset=utf-16><p>Größe".encode(), "Größe"),
    ],
)
def test_a_page_is_decoded_as_browsers_do(content: bytes, text: str) -> None:
    assert documents.parse("a.html", content).text.strip() == text


def test_xhtml_may_end_an_empty_element_at_once() -> None:
    head = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="x"/></head>'
    page = head + '<body><a id="p1"/>Text&#160;here.</body></html>'
    assert documents.parse("a.xhtml", page.encode()).text.strip() == "Text\xa0here."


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.csv", b'name,river\n"Cologne, old",Rhine\n', ["name: Cologne, old; river: Rhine"]),
        ("a.csv", b"name;price;note\nLamp;12,50;nice, warm light\n", ["name: Lamp; price: 12,50; note: nice, warm light"]),  # noqa: E501
        ("a.csv", b"name,price\nLamp,12,and a bulb\nChair\n", ["name: Lamp; price: 12; and a bulb", "name: Chair"]),
        ("a.tsv", "name\tsize\nBär\t2\n".encode("utf-16-le"), ["name: Bär; size: 2"]),
        ("a.csv", "Café,3\nThé,4\n".encode("cp1252"), ["Café; 3", "Thé; 4"]),
        ("a.csv", b"name,empty\nLamp,\n", ["empty", "name: Lamp"]),
        ("a.csv", b'name,say\nAda,"he said ""no"""\n', ['name: Ada; say: he said "no"']),
    ],
)  # fmt: skip
def test_a_row_of_csv_keeps_its_headings(name: str, content: bytes, rows: list[str]) -> None:
    assert documents.parse(name, content).text.strip().split("\n") == rows


def test_a_table_in_markdown_is_quoted_as_it_stands_and_read_with_its_headings() -> None:
    table = "| Plot | Holder |\n|---|---|\n| 8 | **Bob** |\n| 9 | Ada Byron |"
    text = f"---\ntitle: Plots\n---\n\n# Who\n\n{table}\n\n```\n| a | b |\n```\n"
    document = documents.parse("a.md", text.encode())
    assert document.text == text
    assert [section.heading for section in document.sections] == ["Plots", "Who"]
    assert [(text[row.start : row.end], row.reading) for row in document.rows] == [
        ("| 8 | **Bob** |", "Plot: 8; Holder: Bob"),
        ("| 9 | Ada Byron |", "Plot: 9; Holder: Ada Byron"),
    ]


def test_a_workbook_is_its_sheets_with_titles_dates_and_merged_cells() -> None:
    import datetime

    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Plots"
    for row in (
        ["All plots of 2024"],
        ["Plot", "Holder", "Since", "Share"],
        [8, "Ada", datetime.date(2020, 5, 1), 0.25],
        [9, None, None, 0.5],
    ):
        sheet.append(row)
    sheet.merge_cells("B3:B4")
    sheet["D3"].number_format = sheet["D4"].number_format = "0%"
    sheet["A5"] = "=SUM(A3:A4)"
    book.create_sheet("Secret").sheet_state = "hidden"
    out = io.BytesIO()
    book.save(out)
    document = documents.parse("a.xlsx", out.getvalue())
    assert document.text.strip().split("\n") == [
        "Plots",
        "",
        "All plots of 2024",
        "",
        "Plot: 8; Holder: Ada; Since: 2020-05-01; Share: 25%",
        "Plot: 9; Holder: Ada; Share: 50%",
    ]
    assert document.notes == [
        "1 formula in the sheet Plots without a value; open it in Excel and save it",
        "the hidden sheet Secret was left out",
    ]


def test_opendocument_and_epub_are_read() -> None:
    namespace = "urn:oasis:names:tc:opendocument:xmlns:"
    spaces = " ".join(f'xmlns:{name}="{namespace}{name}:1.0"' for name in ("office", "text", "table"))
    rows = [
        "".join(f"<table:table-cell><text:p>{one}</text:p></table:table-cell>" for one in row)
        for row in (("Plot", "Holder"), ("9", "Ada"))
    ]
    table = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    mark, ask = (
        "<text:note-citation>1</text:note-citation>",
        "<text:note-body><text:p>Ask her.</text:p></text:note-body>",
    )
    body = (
        f'<text:h text:outline-level="1">Rules</text:h><text:p>No  <text:s text:c="2"/>dogs<text:note>{mark}{ask}'
        f"</text:note>.</text:p><table:table>{table}</table:table>"
    )
    for part in ("office:text", "office:body", f"office:document-content {spaces}"):
        body = f"<{part}>{body}</{part.partition(' ')[0]}>"
    odt = packed({"content.xml": body})
    document = documents.parse("a.odt", odt)
    assert document.text.strip() == "Rules\n\nNo   dogs[1].\n\n[1] Ask her.\n\nPlot: 9; Holder: Ada"
    assert document.heading(12) == "Rules"
    chapter = "<html xmlns='http://www.w3.org/1999/xhtml'><body><h1>{}</h1><a id='x'/><p>{}</p></body></html>"
    kind = "media-type='application/xhtml+xml'"
    items = f"<item id='b' href='b%20b.xhtml' {kind}/><item id='a' href='a.xhtml' {kind}/>"
    spine = "<spine><itemref idref='a'/><itemref idref='b'/></spine>"
    epub = packed(
        {
            "META-INF/container.xml": "<container><rootfile full-path='in/book.opf'/></container>",
            "in/book.opf": f"<package><manifest>{items}</manifest>{spine}</package>",
            "in/b b.xhtml": chapter.format("Two", "It ends."),
            "in/a.xhtml": chapter.format("One", "It begins."),
        }
    )
    assert documents.parse("a.epub", epub).text.strip() == "One\n\nIt begins.\n\nTwo\n\nIt ends."


def aes_pdf(user: str) -> bytes:
    import pypdf

    from tests.retrieval.test_documents import make_pdf

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(make_pdf(["The lamp is lit", ""])))
    writer.encrypt(user, "owner", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_an_aes_pdf_that_opens_without_a_password_is_read_and_a_locked_one_is_said() -> None:
    document = documents.parse("opens.pdf", aes_pdf(""))
    assert document.text.strip() == "The lamp is lit"
    assert document.notes == ["page 2 has no text, scanned perhaps; text recognition (OCR) would find it"]
    with pytest.raises(Unreadable, match="encrypted"):
        documents.parse("locked.pdf", aes_pdf("secret"))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Word file"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted"),
        ("a.rtf", b"{\\rtf1 hi}", "an RTF file"),
        ("a.pptx", b"PK", "a PowerPoint file"),
        ("a.png", b"\x89PNG", "an image"),
        ("a.mp3", b"ID3", "sound; .* a transcript"),
        ("a.html", b"<script>document.write('x')</script>", "made by scripts"),
    ],
    ids=lambda part: part if isinstance(part, str) else "bytes",
)
def test_kinds_that_are_not_read_are_named(name: str, content: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        documents.parse(name, content)


TEXT = st.text(st.characters(categories=("L", "N"), max_codepoint=0x2FF), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.lists(st.one_of(TEXT, st.just("")), min_size=1, max_size=5), min_size=1, max_size=5),
    data=st.data(),
)
def test_nothing_of_a_table_is_lost(rows: list[list[str]], data: st.DataObject) -> None:
    spans = st.tuples(st.integers(1, 3), st.integers(1, 3), st.booleans())
    grid = Grid([[GridCell(text, *data.draw(spans)) for text in row] for row in rows])
    grid.headings = data.draw(st.sampled_from([None, 0, 1, 2]))
    lines = "\n".join(grid.lines())
    for row in rows:
        for text in row:
            assert text in lines
    page = "<table>" + "".join("<tr>" + "".join(f"<td>{text}" for text in row) for row in rows) + "</table>"
    body = "".join(f"<w:tr>{''.join(map(cell, row))}</w:tr>" for row in rows)
    said = [
        documents.parse("a.html", (page + "<p>end").encode()),
        documents.parse("a.docx", word(f"<w:tbl>{body}</w:tbl>" + p(r("end")))),
    ]
    for document in said:
        _holds(document, rows)


def _holds(document: Document, rows: list[list[str]]) -> None:
    for row in rows:
        for text in row:
            assert text in document.text
    for row in document.rows:
        assert document.text[row.start : row.end] == row.reading


VALUE = st.builds(str.__add__, TEXT, st.sampled_from(["", " x", "; x", ", 5", '"x"', "|", "\n\nx", "€"]))


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.lists(VALUE, min_size=2, max_size=4),
        min_size=2,
        max_size=5,
    ),
    delimiter=st.sampled_from(",;\t|"),
)
def test_nothing_of_csv_is_lost(rows: list[list[str]], delimiter: str) -> None:
    import csv

    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    try:
        text = documents.parse("a.csv", out.getvalue().encode()).text
    except Unreadable:
        assert not any(value.strip() for row in rows for value in row)
        return
    for row in rows:
        for part in re.findall(r"\w+", " ".join(row)):
            assert part in text
