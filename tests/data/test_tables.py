"""Tables are read whole or refused by row, whatever separates their columns, and written so that they are read back."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genarium.artefacts import Records
from genarium.artefacts.records import csv_of
from genarium.data import delimited
from genarium.data.labelled import read_labelled, read_pairs, read_questions
from genarium.data.tables import How, Table, pick, read_table
from genarium.data.tables import given as asked_for
from genarium.errors import BadInput
from genarium.progress import listening


def told(run: Any) -> tuple[Any, list[str]]:
    """What a call gives, and the notes it says."""
    notes: list[str] = []
    with listening(lambda event: notes.append(event.preview)):
        return run(), notes


def written(folder: Path, content: str | bytes, name: str = "rows.csv") -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["12,50", "1;2", "a|b\tc", '"', '""', "\r\n", "\r", " ", "a;b,c", "héllo, wörld; 你好", "\ufeffx", "\x1c"]
)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5).filter(str.strip)


@st.composite
def tables(draw: st.DrawFn, cells: Any = CELLS) -> tuple[list[str], list[list[str]]]:
    columns = draw(st.lists(NAMES, min_size=1, max_size=4))
    return columns, draw(st.lists(st.lists(cells, min_size=len(columns), max_size=len(columns)), max_size=6))


@settings(max_examples=300)
@given(table=tables(), delimiter=st.sampled_from([",", ";", "\t", "|"]))
@example(table=(["a;b"], [["c;d"]]), delimiter=",")
@example(table=(["a"], [[""], [" "], ["b"]]), delimiter=",")
@example(table=(["a;b", "c"], [["1;2", "5"]]), delimiter=",")
def test_what_is_written_is_read_back(table: tuple[list[str], list[list[str]]], delimiter: str) -> None:
    """Every cell, whatever is in it, with nothing said of the delimiter."""
    columns, rows = table
    usual = "\t" if delimiter == "\t" else ","
    text = csv_of([columns, *rows], delimiter)
    found = delimited.parse(text, "rows", usual=usual, delimiter=None if len(columns) > 1 else delimiter)
    assert (found.columns, found.rows) == (columns, rows)


@settings(max_examples=300)
@given(table=tables(), delimiter=st.sampled_from([",", ";", "\t", "|"]), quoting=st.sampled_from([0, 1]))
def test_what_python_writes_is_read_as_it_is(
    table: tuple[list[str], list[list[str]]], delimiter: str, quoting: Any
) -> None:
    """The csv module quotes only what it must, so the delimiter is said here."""
    columns, rows = table
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting).writerows([columns, *rows])
    found = delimited.parse(out.getvalue(), "rows", delimiter=delimiter)
    assert (found.columns, found.rows) == (columns, rows)


@settings(max_examples=200)
@given(text=st.text(st.sampled_from('ab,;|\t" \r\n'), max_size=40), header=st.booleans())
def test_any_text_is_read_whole_where_documents_need_it(text: str, header: bool) -> None:
    """Not strict, every letter is in some cell, and nothing is refused or said."""
    found, notes = told(lambda: delimited.parse(text, "rows", header=header, strict=False))
    cells = "".join(cell for row in [found.columns if header else [], *found.rows] for cell in row)
    assert sorted(c for c in text if c in "ab") == sorted(c for c in cells if c in "ab")
    assert not notes


@pytest.mark.parametrize(
    ("content", "rows", "said"),
    [
        ("name;price;note\nLamp;12,50;nice, warm light\n", [["Lamp", "12,50", "nice, warm light"]], "semicolons"),
        (
            "id;name;price, EUR\n1;Lamp;12,50\n2;Chair;1.003,00\n",
            [["1", "Lamp", "12,50"], ["2", "Chair", "1.003,00"]],
            "s",
        ),
        ("text\tlabel\nHi; there, you\tpos\n", [["Hi; there, you", "pos"]], "tabs"),
        ("a|b\n1|2\n", [["1", "2"]], "vertical bars"),
        ('text,label\r\n"a; b\r\nc",x\r\n', [["a; b\r\nc", "x"]], None),
        ("text,label,,\na,b,,\n", [["a", "b"]], None),
        ("a,b,\n1,2,3\n", [["1", "2", "3"]], None),
        ("a,b\r1,2\r", [["1", "2"]], None),
        ("text,label\nshort\nb,c\n", [["short", ""], ["b", "c"]], "fewer cells than the header in row 2"),
    ],
)
def test_the_delimiter_is_found_and_no_cell_lost(
    tmp_path: Path, content: str, rows: list[Any], said: str | None
) -> None:
    found, notes = told(lambda: read_table(written(tmp_path, content)))
    assert found.rows == rows
    assert len(notes) == (said is not None)
    assert said is None or said in notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "name,price\nLamp,12,and a bulb\n",
            r"row 2: 3 cells, more than the header has names \(2\): Lamp \| 12 \| and",
        ),
        ("text\nHello, world\n", "row 2: 2 cells"),
        ("a;b,c\nd;e,f\n", "can be read with commas or semicolons"),
        ('text,label\na,b\n"c,d\ne,f\n', r"row 3: not CSV \(a quote begins there and never ends\)"),
        ('text,label\n"a" b,c\n', "row 2: not CSV"),
        ('id,text\n1,"a\nb"\n2,"c" d\n', r"row 3 \(line 4\): not CSV"),
    ],
)
def test_what_would_be_read_wrongly_is_refused_by_its_row(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as raised:
        read_table(written(tmp_path, content))
    assert "\n" not in str(raised.value)


def test_between_tabs_quotes_are_text_unless_they_hold_a_cell_together(tmp_path: Path) -> None:
    for content, cell in (
        ('text\tn\n"Go" she said\t1\n', '"Go" she said'),
        ('text\tn\n"Go"\t1\n', '"Go"'),
        ('text\tn\n"Go ""now"""\t1\n', 'Go "now"'),
        ('text\tn\n"two\nlines"\t1\n', "two\nlines"),
        ('"text"\t"n"\n"Go"\t"1"\n', "Go"),
    ):
        assert read_table(written(tmp_path, content, "rows.tsv")).rows == [[cell, "1"]]
        assert [e.text for e in read_labelled(written(tmp_path, content, "rows.tsv"), label="n")] == [cell]


@pytest.mark.parametrize(
    ("encoding", "how", "said"),
    [
        ("utf-8-sig", How(), None),
        ("utf-16", How(), None),
        ("utf-16-le", How(), "not UTF-8, and is read as UTF-16"),
        ("cp1252", How(), "not UTF-8, and is read as windows-1252"),
        ("cp1252", How(encoding="cp1252"), None),
        ("gb18030", How(encoding="gb18030"), None),
        ("utf-8", How(encoding="latin-1"), "valid UTF-8, but is read as"),
    ],
)
def test_encodings_are_known_by_their_mark_or_said(tmp_path: Path, encoding: str, how: How, said: str | None) -> None:
    file = written(tmp_path, "text,label\nPeñón, alto,a\n".replace("ñón, alto", "ñón").encode(encoding))
    found, notes = told(lambda: read_table(file, how))
    assert found.columns == ["text", "label"]
    assert (found.rows == [["Peñón", "a"]]) == (how.encoding != "latin-1")
    assert [said in one for one in notes if said] == ([True] if said else [])


@pytest.mark.parametrize(
    ("name", "content", "how", "message"),
    [
        ("a.csv", "text\n\xf1\n".encode("latin-1"), How(encoding="utf-8"), "not UTF-8 throughout"),
        ("a.csv", b"text\na\n", How(encoding="klingon"), "unknown encoding 'klingon'"),
        ("a.csv", b"PK\x03\x04\0\0\0\0", How(), "binary, not text"),
        ("a.xlsx", b"PK\x03\x04", How(), r"\.xlsx files are not read here; save it as CSV"),
        ("a.csv", b"text\na\n", How(delimiter=",,"), "delimiter must be one character, or comma"),
        ("a.jsonl", b'{"text": "a"}\n', How(delimiter=";"), "is JSON, .* leave out delimiter"),
        ("a.jsonl", b'{"text": "a", "text": "b"}\n', How(), "line 1: 'text' is there twice in one object"),
        ("a.jsonl", b"[" * 100_000, How(), "nested too deeply"),
        ("a.json", b'{"text": "a"}', How(), "is no list of rows"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path: Path, name: str, content: bytes, how: How, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read_table(written(tmp_path, content, name), how)


def test_a_first_row_is_not_lost_in_silence(tmp_path: Path) -> None:
    file = written(tmp_path, "A warm, funny film.\n".replace(",", "") + "Not worth the ticket.\n")
    with pytest.raises(BadInput, match="a row or the column's name"):
        asked_for(None, file, None)
    assert asked_for(None, file, None, How(header=False)).texts == ["A warm funny film.", "Not worth the ticket."]
    assert asked_for(None, file, "A warm funny film.").texts == ["Not worth the ticket."]
    found, notes = told(lambda: asked_for(None, written(tmp_path, "review\ngood\nbad\n"), None))
    assert found.texts == ["good", "bad"]
    assert "'review', is taken for the column's name" in notes[0]
    assert told(lambda: asked_for(None, written(tmp_path, "Text\ngood\n"), None))[1] == []
    with pytest.raises(BadInput, match="no_header"):
        asked_for(None, written(tmp_path, "good,1\nbad,2\n"), None)
    rows = asked_for(None, written(tmp_path, "good,1\nbad,2\n"), "1", How(header=False))
    assert (rows.texts, rows.table.columns) == (["good", "bad"], ["1", "2"])


def test_columns_are_found_by_name_and_never_by_chance(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, " Text ,label,label\na,b,c\n"))
    assert pick(table, "text") == " Text "
    with pytest.raises(BadInput, match="2 columns called 'label'"):
        table.texts("label")
    with pytest.raises(BadInput, match="2 columns called 'label'"):
        table.dicts()
    with pytest.raises(BadInput, match="no column 'x'; its columns are  Text , label, label"):
        table.place("x")


def test_json_rows_keep_their_values_and_say_what_is_no_text(tmp_path: Path) -> None:
    lines = ['{"text": "a", "n": 1}', '{"n": {"m": [true]}, "text": null}', '{"text": "half \\ud83d"}']
    table = read_table(written(tmp_path, "\n".join(lines), "rows.jsonl"))
    assert table.rows == [["a", 1], [None, {"m": [True]}], ["half \ud83d", None]]
    assert table.texts("text") == ["a", "", "half \ufffd"]
    with pytest.raises(BadInput, match="row 2: an object under 'n', where a text belongs"):
        table.texts("n")
    same = read_table(written(tmp_path, json.dumps([json.loads(line) for line in lines[:2]]), "rows.json"))
    assert same.rows == table.rows[:2]


def test_new_columns_stand_behind_and_take_no_name_that_is_there() -> None:
    table = Table(Path("rows.csv"), ["label", "text", "label_2"], [["x", "a", None]], [2], ",")
    (columns, rows), notes = told(lambda: table.with_columns({"label": ["good"], "probability_good": [0.75]}))
    assert columns == ["label", "text", "label_2", "label_3", "probability_good"]
    assert rows == [["x", "a", None, "good", 0.75]]
    assert "has a column 'label' already; the new one is called 'label_3'" in notes[0]


def test_a_table_is_the_same_whether_its_run_was_stopped_or_not(tmp_path: Path) -> None:
    """A resumed run reads rows back from its file; their columns keep the order they were made in."""
    from genarium.rows import Rows

    made = [{"text": "a", "label": "x", "probabilities": {"y": 0.25, "x": 0.75}}, {"text": "b", "label": None}]
    kept = Rows(tmp_path / "rows.jsonl")
    for row in made:
        kept.add(row)
    kept.close()
    again = Rows(tmp_path / "rows.jsonl").done
    whole, resumed = (Records(rows=rows).as_file(".csv") for rows in (made, again))
    assert whole == resumed
    assert whole.decode().splitlines()[0] == "text,label,probabilities"


def test_answers_of_all_spellings_and_pairs_are_checked_by_row(tmp_path: Path) -> None:
    content = [
        {
            "question": "q",
            "context": "in the red house",
            "answers": {"text": ["red", "red house"], "answer_start": [7, 7]},
        },
        {"question": "q", "context": "in the red house", "answers": [{"text": "red", "answer_start": 7}]},
        {"question": "q", "context": "a\r\nred", "answer_start": 3, "text": "red"},
    ]
    file = written(tmp_path, "".join(json.dumps(row) + "\n" for row in content), "rows.jsonl")
    found = read_questions(file)
    assert [one.answer for one in found] == ["red", "red", "red"]
    assert [one.others for one in found] == [("red house",), (), ()]
    for start in (-3, True, "x", 1.5):
        row = {"question": "q", "context": "red", "answer_start": start, "text": "red"}
        with pytest.raises(BadInput, match="row 1"):
            read_questions(written(tmp_path, json.dumps(row), "rows.jsonl"))
    for bad in ({"query": "q", "passage": None, "label": 1}, {"query": "q", "positive": "a", "negatives": [None]}):
        with pytest.raises(BadInput, match="row 1"):
            read_pairs(written(tmp_path, json.dumps(bad), "rows.jsonl"))
    table = "question,context,answer_start,text\nq,in red,3,red\nq,in red,,\n"
    assert [one.answer for one in read_questions(written(tmp_path, table))] == ["red", ""]
