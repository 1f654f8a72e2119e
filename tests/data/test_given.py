"""What people give: texts or a column of a file, labels, labelled examples; what is wrong with them is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given as example_of
from hypothesis import strategies as st

from genarium.data.labels import read_examples, read_labels
from genarium.data.tables import given, read_table
from genarium.errors import BadInput
from genarium.progress import listening


def test_texts_or_a_column_but_not_both(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text('id,review\n1,"good, really"\n2,bad\n', "utf-8")
    assert given(["a"], None, None).texts == ["a"]
    assert given(None, file, "review").texts == ["good, really", "bad"]
    with pytest.raises(BadInput, match="name a file"):
        given(None, None, None)
    with pytest.raises(BadInput, match="as well"):
        given(["a"], file, "review")
    with pytest.raises(BadInput, match="column says how a file is read"):
        given(["a"], None, "review")
    with pytest.raises(BadInput, match=r"has no column 'text'; its columns are id, review"):
        given(None, file, "text")
    with pytest.raises(BadInput, match=r"has the columns id, review; say with column which one is meant"):
        given(None, file, None)


def test_empty_rows_are_counted_and_a_file_of_nothing_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text('text,id\na,1\n"",2\n"  ",3\n', "utf-8")
    told: list[str] = []
    with listening(lambda event: told.append(event.preview)):
        assert given(None, file, "text").texts == ["a", "", "  "]
    assert "2 of 3 texts are empty (rows 3, 4)" in told[0]
    for content in ("", "text\n", 'text,id\n"",1\n'):
        file.write_text(content, "utf-8")
        with pytest.raises(BadInput, match=r"has no rows|every row of .* is empty"):
            given(None, file, "text")


def test_a_text_longer_than_a_csv_field_usually_is(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(f'text\n"{"long " * 60_000}"\n', "utf-8")
    assert len(given(None, file, None).texts[0]) == 300_000


LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r")), min_size=1, max_size=5)


@example_of(texts=LINES)
def test_json_lines_hold_any_text(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    file.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
    assert [row["text"] for row in read_table(file).dicts()] == texts


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["positive,,negative"], "a label is empty in 'positive,,negative'"),
        (["positive, "], "a label is empty"),
        (["good,bad,Good"], "label 'good' is there twice"),
        (["positive"], "at least two, got only 'positive'"),
    ],
)
def test_labels_that_are_no_choice_are_refused(asked: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read_labels(asked)


def test_labels_are_apart_by_commas_or_given_apart() -> None:
    assert read_labels(["positive, negative"]) == read_labels(["positive", "negative"]) == ["positive", "negative"]
    assert read_labels(None) is None


def test_examples_are_texts_with_labels_of_the_set(tmp_path: Path) -> None:
    file = tmp_path / "examples.csv"
    file.write_text("label,review\nspam,win now\nHam,see you\n", "utf-8")
    assert read_examples(file, None, "label", ["ham", "spam"]) == (
        [("win now", "spam"), ("see you", "ham")],
        ["ham", "spam"],
    )
    assert read_examples(file, "review", "label", None)[1] == ["Ham", "spam"]
    with pytest.raises(BadInput, match="row 2: its label 'spam' is none of ham, eggs"):
        read_examples(file, None, "label", ["ham", "eggs"])
    with pytest.raises(BadInput, match="no example of 'eggs'"):
        read_examples(file, None, "label", ["ham", "spam", "eggs"])
    with pytest.raises(BadInput, match="no column 'class'"):
        read_examples(file, None, "class", None)
