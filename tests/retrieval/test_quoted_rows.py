"""Rows of tables are found, quoted whole where they stand, and words are found however the file spells them."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from genarium.retrieval import documents
from genarium.retrieval.build import build
from genarium.retrieval.document import Document, TableRow
from genarium.retrieval.extract import best_of, judge
from genarium.retrieval.generate import Sentence, TextSpan, read
from genarium.retrieval.normalize import normalized
from genarium.retrieval.passages import passages
from genarium.retrieval.retrieve import by_words
from genarium.retrieval.store import Index
from tests.retrieval.test_build import embed
from tests.retrieval.test_formats import cell, p, r, word

HOLDERS = [
    f"{first} {last}" for first in ("Ada", "Ben", "Cora", "Dan", "Eve", "Finn") for last in ("Byron", "Hill")
] * 5
ROWS = [(str(plot), HOLDERS[plot], f"{plot * 7 % 50 + 5} EUR") for plot in range(1, 60)]
HEAD = ("Plot", "Holder", "Fee")


def csv_file(end: str) -> bytes:
    return "".join(end.join(row) + "\n" for row in (HEAD, *ROWS)).encode()


def html_file() -> bytes:
    rows = "".join("<tr>" + "".join(f"<td>{text}" for text in row) for row in ROWS)
    return f"<h1>Plots</h1><table><tr><th>Plot<th>Holder<th>Fee{rows}</table>".encode()


def markdown_file() -> bytes:
    return ("# Plots\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in (HEAD, ("-", "-", "-"), *ROWS))).encode()


def word_file() -> bytes:
    rows = "".join(f"<w:tr>{''.join(map(cell, row))}</w:tr>" for row in (HEAD, *ROWS))
    return word(p(r("The plots of the town.")) + f"<w:tbl>{rows}</w:tbl>")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENARIUM_HOME", str(tmp_path / "home"))
    (tmp_path / "town").mkdir()
    return tmp_path / "town"


def answer(folder: Path, question: str) -> list[Sentence]:
    build(folder, embed, encoder="letters", encoder_digest="letters", name="town")
    with Index("town") as index:
        hits = index.hits(list(by_words(index, question))[:5])
        judged = judge(question, hits, lambda texts: embed(texts) @ embed([question])[0])
        return [Sentence(quote.shown, [quote]) for quote in best_of(judged)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", csv_file(";")),
        ("a.tsv", csv_file("\t")),
        ("a.html", html_file()),
        ("a.md", markdown_file()),
        ("a.docx", word_file()),
    ],
    ids=lambda part: part if isinstance(part, str) else "bytes",
)
def test_who_holds_plot_9_finds_its_row_in_a_long_table(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    for plot, holder, fee in (ROWS[8], ROWS[41]):
        [first, *_] = answer(folder, f"Who holds plot {plot}?")
        assert first.text == f"Plot: {plot}; Holder: {holder}; Fee: {fee}"
        [quote] = first.quotes
        text = documents.parse(name, content).text
        assert text[quote.hit.start + quote.start : quote.hit.start + quote.end] == quote.text
        assert plot in quote.text
        assert holder in quote.text


def test_a_reader_is_given_rows_with_their_headings_and_the_row_is_quoted_whole(folder: Path) -> None:
    (folder / "a.md").write_bytes(markdown_file())
    answer(folder, "Who holds plot 9?")
    with Index("town") as index:
        hits = index.hits(list(by_words(index, "plot 9"))[:3])

    def spans(_question: str, texts: object) -> list[TextSpan]:
        found = []
        for text in texts:  # type: ignore[attr-defined]
            place = text.find(f"Plot: 9; Holder: {ROWS[8][1]}")
            found.append(TextSpan(place + 17, place + 20, 1.0) if place >= 0 else TextSpan(0, 0, -1.0))
        return found

    [said] = read("Who holds plot 9?", hits, spans)
    assert said.text == f"Plot: 9; Holder: {ROWS[8][1]}; Fee: {ROWS[8][2]}"
    assert said.quotes[0].text == f"| 9 | {ROWS[8][1]} | {ROWS[8][2]} |"


def test_a_number_that_no_row_has_supports_no_row(folder: Path) -> None:
    (folder / "a.md").write_bytes(markdown_file())
    assert answer(folder, "Who holds plot 99?") == []


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("The \ufb01sh swims.", "fish"),
        ("An exam-\nple is here.", "example"),
        ("An exam\xadple is here.", "example"),
        ("Ｔｈｅ　ｆｅｒｒｙ leaves.", "ferry"),
        ("Room F\u201116 is full.", "16"),
        ("zero\u200bwidth", "zerowidth"),
    ],
)
def test_a_word_is_found_however_it_is_spelled_and_quoted_as_it_stands(folder: Path, written: str, asked: str) -> None:
    (folder / "a.txt").write_text(written, encoding="utf-8")
    build(folder, embed, encoder="letters", encoder_digest="letters", name="town")
    with Index("town") as index:
        [hit] = index.hits(list(by_words(index, asked)))
    assert (hit.text, hit.start, hit.end) == (written, 0, len(written))


def test_numbers_keep_their_worth_when_they_are_normalized() -> None:
    assert normalized("10⁶ and 1½, m²") == "10^6 and 1 1⁄2, m2"
    assert normalized("well-known, A-\nB") == "well-known, A-B"


@settings(max_examples=200, deadline=None)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 90), st.integers(0, 40)), max_size=12),
    size=st.integers(40, 200),
)
def test_a_row_is_cut_only_where_it_is_longer_than_a_passage(lengths: list[tuple[int, int]], size: int) -> None:
    text, rows = "", list[TableRow]()
    for length, gap in lengths:
        rows.append(TableRow(len(text), len(text) + length, f"row {len(rows)}"))
        text += ("a: b. " * 20)[:length].replace(" ", "_") + "\n" + ("w. " * gap) + "\n"
    found = list(passages(Document(text, rows=rows), size=size, overlap=size // 5, least=size // 4))
    whole = [(one.start + row.start, one.start + row.end, row.reading) for one in found for row in one.rows]
    for row in rows:
        assert (row.start, row.end, row.reading) in whole or row.end - row.start > size // 2
    covered = {place for one in found for place in range(one.start, one.end)}
    assert {place for place, character in enumerate(text) if not character.isspace()} <= covered
    assert all(len(one.text) <= size and one.text == text[one.start : one.end] for one in found)


def test_what_an_index_of_an_earlier_format_holds_is_made_anew_and_asking_it_is_refused(folder: Path) -> None:
    from genarium.errors import BadInput
    from genarium.retrieval import store

    (folder / "a.txt").write_text("The ferry leaves at noon.")
    build(folder, embed, encoder="letters", encoder_digest="letters", name="town")
    with Index("town") as index, index.transaction():  # as it was before rows and notes
        for what in store.DROPPED:
            index.connection.execute(f"DROP {what}")
        index.connection.execute(
            "CREATE TABLE files (id INTEGER PRIMARY KEY, path, size, mtime, sha256, problem, vectors)"
        )
        index.connection.execute(
            "CREATE TABLE passages (id INTEGER PRIMARY KEY, file, start, end, page, context, text)"
        )
        index.set_meta(format="1")
    with Index("town") as index:
        assert (index.files(), index.is_current()) == ({}, False)
        with pytest.raises(BadInput, match="earlier version"):
            index.hits([1])
    assert build(folder, embed, encoder="letters", encoder_digest="letters", name="town").added == ["a.txt"]
    with Index("town") as index:
        assert len(index.search_words(["ferry"], 5)) == 1
        assert np.isfinite(index.vectors()[1]).all()
