"""`genarium summarize`: from an argument, standard input or a file; mistakes are sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from genarium.cli.main import genarium as command
from genarium.errors import BadInput

TALE = "Once there was a king. He had a son. The son went to war. The queen wept. They all came home at last."


def run(*words: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(command, ["summarize", *words], input=stdin, standalone_mode=False)


def test_the_same_text_from_three_places_gives_the_same_summary(tmp_path: Path) -> None:
    file = tmp_path / "tale.txt"
    file.write_text(TALE)
    ways = [run(TALE, "--sentences", "2"), run("-", "--sentences", "2", stdin=TALE.encode())]
    ways.append(run("--file", str(file), "--sentences", "2"))
    assert len({way.stdout for way in ways}) == 1
    assert all(sentence in TALE for sentence in ways[0].stdout.strip().split(". "))
    assert "note: extractive: 2 of the text's 5 sentences" in ways[0].stderr


def test_an_extract_is_reproduced_and_knows_where_it_stands() -> None:
    [made] = json.loads(run(TALE, "--lambda", "0.9", "--ratio", "0.2", "--json").stdout)["artefacts"]
    [[start, end]] = made["spans"]
    assert TALE[start:end] == made["text"]
    assert made["method"] == "extractive"
    again = CliRunner().invoke(command, ["reproduce", made["id"], "--json"], standalone_mode=False)
    assert json.loads(again.stdout)["equal"]
    shown = CliRunner().invoke(command, ["show", made["id"]], standalone_mode=False)
    assert made["text"] in shown.stdout


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        ((), None, "give one of them"),
        (("text", "--file", "TALE"), None, "give one of them"),
        (("",), None, "text is empty"),
        (("-",), b" \n", "text is empty"),
        (("-",), b"\xff\xfe\x00", "not UTF-8"),
        (("--file", "BINARY"), None, "not UTF-8"),
        (("--file", "EMPTY"), None, "has no text in it"),
        (("--file", "nowhere.txt"), None, "is not there"),
        ((TALE, "--sentences", "0"), None, "sentences must be at least 1, got 0"),
        ((TALE, "--ratio", "0"), None, "ratio must be more than 0"),
        ((TALE, "--ratio", "0.5", "--sentences", "2"), None, "both say how long"),
        ((TALE, "--lambda", "1.5"), None, "must be at most 1"),
    ],
)
def test_a_mistake_is_a_sentence(tmp_path: Path, words: tuple[str, ...], stdin: bytes | None, said: str) -> None:
    places = {"TALE": TALE.encode(), "BINARY": b"\xff\xfe\x00\x80", "EMPTY": b" \n\n"}
    for name, content in places.items():
        (tmp_path / name).write_bytes(content)
    result = run(*(str(tmp_path / word) if word in places else word for word in words), stdin=stdin)
    assert isinstance(result.exception, BadInput)
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)


def test_one_sentence_is_its_own_summary() -> None:
    result = run("Only this one.")
    assert result.stdout.strip() == "Only this one."
    assert "its own summary" in result.stderr
