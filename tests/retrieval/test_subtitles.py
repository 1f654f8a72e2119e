"""Subtitles are read as sentences with their times, and an answer from them says when it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from genarium.artefacts import Citation
from genarium.artefacts.captions import subtitles as written
from genarium.retrieval import documents
from genarium.retrieval.build import build
from genarium.retrieval.document import Document
from genarium.retrieval.extract import best_of, judge
from genarium.retrieval.generate import evidence
from genarium.retrieval.kinds import fits
from genarium.retrieval.retrieve import by_words
from genarium.retrieval.store import Index
from tests.retrieval.test_build import embed

VTT = """\ufeffWEBVTT - The gull
Kind: captions

NOTE made by hand --> not a cue

STYLE
::cue { color: lime }

1
00:59.000 --> 01:02.500 align:start position:10%
<v Mary Ann>The gull landed
on the <i>old</i> pier &amp;

01:02.500 --> 01:04.000
slept for <00:01:03.000><c>three</c> hours.

02:00:00.000 --> 02:00:05.250
Nobody saw it

02:00:09.000 --> 02:00:10.000
leave again.
"""
SRT = """1
00:00:01,000 --> 00:00:02,000
{\\an8}<b>Tide tables.</b>

2
00:00:02,000 --> 00:00:04,900
One day.
""".replace("\n", "\r\n")
LINES = [
    "0:00:59–0:01:04 Mary Ann: The gull landed on the old pier & slept for three hours.",
    "2:00:00–2:00:05 Nobody saw it",
    "2:00:09–2:00:10 leave again.",
]


def parsed(name: str, text: str) -> Document:
    return documents.parse(name, text.encode())


def test_cues_become_sentences_with_their_times_and_nothing_of_the_markup() -> None:
    document = parsed("film.vtt", VTT)
    assert document.text.split("\n") == LINES
    assert [document.text[row.start : row.end] for row in document.rows] == LINES
    assert [row.reading for row in document.rows] == [line.split(" ", 1)[1] for line in LINES]
    assert parsed("film.srt", SRT).text == "0:00:01–0:00:02 Tide tables.\n0:00:02–0:00:04 One day."


def test_what_is_no_subtitles_is_read_as_text() -> None:
    assert parsed("notes.srt", "Remember the milk.\n").text == "Remember the milk.\n"


def test_careless_files_lose_nothing() -> None:
    careless = (
        "1\n0:0:01,5 --> 0:0:02\nNo blank line.\n2\n00:00:02,000 --> 00:00:03,000\n\nLate.\n\nAnd later.\n"
        "\n3\n\n00:00:03,000 --> 00:00:04,000\nLast.\n\n4\n"
    )
    assert parsed("film.srt", careless).text == (
        "0:00:01–0:00:02 No blank line.\n0:00:02–0:00:03 Late. And later.\n0:00:03–0:00:04 Last."
    )
    noted = "WEBVTT\n\n00:01.000 --> 00:02.000\nSaid.\n\nno cue\n\nNOTE\n00:03.000 --> 00:04.000\nby hand\n"
    assert parsed("film.vtt", noted).text == "0:00:01–0:00:02 Said."


def test_captions_that_roll_up_are_read_once() -> None:
    rolling = "WEBVTT\n\n00:01.000 --> 00:03.000\nso the gull\n\n00:03.000 --> 00:05.000\nso the gull\nlanded here\n"
    assert parsed("auto.vtt", rolling).text == "0:00:01–0:00:03 so the gull\n0:00:03–0:00:05 landed here"


def test_each_moment_that_caption_writes_is_one_of_its_own() -> None:
    seen = [
        {"start": 0.0, "end": 1.5, "caption": "a red apple on the left"},
        {"start": 1.5, "end": 3725.0, "caption": "a blue boat"},
    ]
    for suffix in (".vtt", ".srt"):
        text = documents.parse(f"clip{suffix}", written(seen, suffix)).text
        assert text == "0:00:00–0:00:01 a red apple on the left\n0:00:01–1:02:05 a blue boat"


def test_an_answer_says_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENARIUM_HOME", str(tmp_path / "home"))
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "film.vtt").write_text(VTT, "utf-8")
    build(tmp_path / "films", embed, encoder="letters", encoder_digest="letters", name="films")
    question = "When did the gull land on the pier, and how many of the 3 saw it?"
    with Index("films") as index:
        [hit] = index.hits(list(by_words(index, question)))
    quote = best_of(judge(question, [hit], lambda texts: embed(texts) @ embed([question])[0]), most=1)[0]
    assert (quote.shown, quote.time) == (LINES[0], "0:00:59–0:01:04")
    assert not quote.is_row  # a number in the question rules out rows of tables alone
    assert "0:00:59" not in quote.searched
    assert "0:00:59–0:01:04 Mary Ann: The gull" in evidence(hit)
    place = (hit.start + quote.start, hit.start + quote.end)
    assert str(Citation(1, hit.file, None, *place, quote.text, "", quote.time)) == (
        "[1] film.vtt, 0:00:59–0:01:04: “Mary Ann: The gull landed on the old pier & slept for three hours.”"
    )


def test_a_time_beside_it_answers_when_and_nothing_else() -> None:
    assert fits("When does it land?", "A gull lands", has_time=True)
    assert not fits("When does it land?", "A gull lands")
    assert not fits("How many gulls land?", "A gull lands", has_time=True)


def test_a_row_of_a_table_has_no_time() -> None:
    document = parsed("times.csv", "When,What\n0:00:59–0:01:04 x,landing\n")
    assert [row.reading for row in document.rows] == [document.text[row.start : row.end] for row in document.rows]
    assert len(document.rows) == 1
