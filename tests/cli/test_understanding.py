"""`embed`, `classify` and `rank` as a person meets them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genarium.ledger import Ledger
from genarium.run import reproduce

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_file_is_classified_into_a_file_and_counted(genarium: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    rows.write_text('id,review\n1,"The fox, really"\n2,moon\n3,\n', "utf-8")
    done = genarium(
        "classify", "--file", rows, "--column", "review", "--labels", "fox,hill", "--model", tiny, "-o", out
    )
    assert done.returncode == 0
    assert "1 of 3 texts are empty (row 4); they are given no label" in done.stderr
    assert "a generative model whose next words are scored over the labels alone" in done.stderr
    with out.open(newline="") as opened:
        found = list(csv.DictReader(opened))
    assert list(found[0]) == ["id", "review", "label", "probability_fox", "probability_hill"]
    assert [(row["id"], row["review"]) for row in found] == [("1", "The fox, really"), ("2", "moon"), ("3", "")]
    assert {row["label"] for row in found[:2]} <= {"fox", "hill"}
    assert all(float(row["probability_fox"]) + float(row["probability_hill"]) == pytest.approx(1) for row in found[:2])
    assert list(found[2].values())[2:] == ["", "", ""]
    last = done.stdout.splitlines()[-1]
    counted = {label: [row["label"] for row in found].count(label) for label in ("fox", "hill")}
    assert last.endswith(f"{counted['fox']} fox and {counted['hill']} hill.")


def test_a_word_is_compared_in_a_table_and_a_plot_that_reproduces(genarium: Callable[..., Any], tmp_path: Path) -> None:
    image = tmp_path / "bank.png"
    done = genarium("embed", "--compare", "bank", "river bank", "bank loan", "-o", image)
    assert done.returncode == 0
    assert "[bank] loan" in done.stdout
    assert "static vectors stay at 1.000" in done.stdout
    assert image.read_bytes().startswith(PNG)
    with Ledger() as ledger:
        entries = ledger.history()
        assert sorted(entry.kind for entry in entries) == ["plot", "records"]
        assert all(reproduce(entry.id, ledger=ledger).equal for entry in entries)


def test_lines_from_a_pipe_are_ranked(genarium: Callable[..., Any]) -> None:
    done = genarium("rank", "kitten", "-", "--top-k", "2", "--json", stdin="a dog\n\na cat\nfreight trains\n")
    rows = json.loads(done.stdout)["artefacts"][0]["rows"]
    assert [(row["rank"], row["number"], row["text"]) for row in rows] == [(1, 2, "a cat"), (2, 1, "a dog")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["classify", "good", "--labels", "positive"], "at least two, got only 'positive'"),
        (["embed", "--compare", "bank", "embankment"], "'bank' is not a word of 'embankment'"),
    ],
)
def test_mistakes_are_one_sentence(genarium: Callable[..., Any], arguments: list[str], message: str) -> None:
    done = genarium(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("genarium: ")
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
