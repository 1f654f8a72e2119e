"""Conversations and preferences are read in the shapes people have them in; what teaches nothing is said or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genarium.data.conversations import Example, read_examples, read_prompts
from genarium.data.preferences import Preference, Ranking, Scored, read_judged, read_preferences, read_rankings
from genarium.errors import BadInput
from genarium.progress import Event, listening

ASK = {"role": "user", "content": "Hi"}
SAY = {"role": "assistant", "content": "Hello"}
MORE = {"role": "user", "content": "And?"}


def file(folder: Path, *rows: Any) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def heard(read: Any, path: Path) -> tuple[Any, str]:
    said: list[str] = []

    def hear(event: Event) -> None:
        said.append(str(event.preview))

    with listening(hear):
        return read(path), " ".join(said)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"messages": [ASK, SAY, MORE, SAY, MORE]}, Example((ASK, SAY, MORE), "Hello")),
        (
            {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}], "system": "Be."},
            Example(({"role": "system", "content": "Be."}, ASK), "Hello"),
        ),
        ({"prompt": "The film", "completion": " is good"}, Example("The film", " is good")),
        ({"prompt": [ASK], "completion": [SAY]}, Example((ASK,), "Hello")),
        ({"instruction": "Add.", "input": "1 2", "output": "3"}, Example("Add.\n\n1 2", "3")),
    ],
)
def test_examples_are_read_in_the_fields_shapes(row: Any, expected: Example, tmp_path: Path) -> None:
    assert read_examples(file(tmp_path, row)) == [expected]


def test_a_table_has_prompts_and_answers_and_rows_without_one_are_said(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("prompt,answer\nWho?,Ada\nWhy?,\n")
    found, said = heard(read_examples, path)
    assert found == [Example("Who?", "Ada")]
    assert "1 of 2 rows in pairs.csv (row 3) have no answer" in said


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": [{"role": "wizard", "content": "Hi"}, SAY]}, "row 1, messages, message 1: the role 'wizard'"),
        ({"conversations": [{"from": "tool", "value": "Hi"}]}, "the role 'tool' is not known"),
        ({"messages": [ASK]}, "the assistant says nothing in it"),
        ({"messages": [ASK, {"role": "assistant", "content": None}]}, "its content is no text"),
        ({"messages": [ASK, SAY | {"tool_calls": [1]}]}, "it has tool_calls"),
        ({"messages": []}, "must be a list of messages"),
        ({"prompt": "Hi"}, "has no answer; name its column"),
        ({"prompt": " ", "answer": "x"}, "the prompt is empty"),
        ({"text": "Hi"}, "has no 'prompt'; it has 'text'"),
        ({"prompt": [ASK, SAY], "answer": "x"}, "a prompt must end with what the user says"),
        ({"prompt": [ASK], "completion": [ASK]}, "must be one message of the assistant"),
    ],
)
def test_an_example_that_can_not_be_learned_is_refused_by_its_row(row: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        read_examples(file(tmp_path, row))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    for read in (read_examples, read_rankings, read_prompts):
        with pytest.raises(BadInput, match="has no rows"):
            read(file(tmp_path))


def test_prompts_are_lines_columns_or_conversations_that_wait(tmp_path: Path) -> None:
    lines = tmp_path / "prompts.txt"
    lines.write_text("One\n\nTwo\n")
    assert read_prompts(lines) == ["One", "Two"]
    assert read_prompts(file(tmp_path, {"prompt": "One"}, {"messages": [ASK, SAY]}, {"prompt": [ASK]})) == [
        "One",
        (ASK,),
        (ASK,),
    ]


def test_pairs_are_trls(tmp_path: Path) -> None:
    rows = [
        {"prompt": "The", "chosen": " good", "rejected": " bad"},
        {"prompt": [ASK], "chosen": [SAY], "rejected": [SAY | {"content": "No"}]},
        {"chosen": [ASK, SAY], "rejected": [ASK, SAY | {"content": "No"}]},
    ]
    assert read_preferences(file(tmp_path, *rows)) == [
        Preference("The", " good", " bad"),
        Preference((ASK,), "Hello", "No"),
        Preference((ASK,), "Hello", "No"),
    ]
    with pytest.raises(BadInput, match="row 1: has no 'prompt'"):
        read_preferences(file(tmp_path, {"chosen": "a", "rejected": "b"}))


def test_rankings_have_ties_ranks_and_scores(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        {"prompt": "x", "answers": ["a", ["b", "c"]]},
        {"prompt": "y", "answers": ["a", "b"], "ranks": [2, 1]},
        {"prompt": "z", "answers": ["a", "b", "c"], "scores": [1, 5, 1]},
        {"prompt": "alone", "answers": ["a"]},
        {"prompt": "same", "answers": ["a", "a"]},
    )
    found, said = heard(read_rankings, path)
    assert found == [
        Ranking("x", ("a", "b", "c"), (0, 1, 1)),
        Ranking("y", ("a", "b"), (2, 1)),
        Ranking("z", ("a", "b", "c"), (-1, -5, -1)),
    ]
    assert found[0].pairs == [(0, 1), (0, 2)]
    assert found[2].pairs == [(1, 0), (1, 2)]
    assert "1 of 5 prompts in rows.jsonl have one answer" in said
    assert "2 pairs of answers in rows.jsonl are tied" in said
    assert "1 rows in rows.jsonl prefer an answer to itself" in said


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"prompt": "x", "answers": ["a"]}], "every prompt has one answer"),
        ([{"prompt": "x", "answers": [["a", "b"]]}], "all answers of a prompt are equal"),
        ([{"prompt": "x", "chosen": "a", "rejected": "a"}], "all answers of a prompt are equal"),
        ([{"prompt": "x", "answers": list("abcdefghij")}], "ranks 10 answers; at most 9"),
        ([{"prompt": "x", "answers": "a"}], "answers must be a list"),
        ([{"prompt": "x", "answers": ["a", "b"], "ranks": [1]}], "ranks must be a list of 2 numbers"),
        ([{"prompt": "x", "answers": ["a", "b"], "scores": [1, 6]}], "must be from 0 to 5, got 6"),
        ([{"prompt": "x", "answer": "a", "score": "good"}], "must be a number, got 'good'"),
        (
            [{"prompt": "x", "chosen": "a", "rejected": "b"}, {"prompt": "x", "chosen": "b", "rejected": "a"}],
            "every pair is judged both ways",
        ),
        ([{"prompt": "x", "label": 1}], "preferences have prompt, chosen and rejected"),
    ],
)
def test_what_prefers_nothing_is_refused(rows: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        read_rankings(file(tmp_path, *rows))


def test_pairs_that_are_judged_both_ways_are_said(tmp_path: Path) -> None:
    row = {"prompt": "x", "chosen": "a", "rejected": "b"}
    back = {"prompt": "x", "chosen": "b", "rejected": "a"}
    found, said = heard(read_preferences, file(tmp_path, row, back, row))
    assert len(found) == 3
    assert "1 pairs in rows.jsonl are judged both ways, as 'a' and 'b'" in said


def test_scores_are_rankings_of_a_prompts_answers_or_each_their_own(tmp_path: Path) -> None:
    rows = [{"prompt": "x", "answer": a, "score": s} for a, s in (("a", 5), ("b", 1), ("a", 3), ("c", 4))]
    assert read_judged(file(tmp_path, *rows)) == [Ranking("x", ("a", "c", "b"), (-4, -4, -1))]
    many = [{"prompt": "x", "answer": str(i), "score": i % 6} for i in range(20)]
    parts = read_rankings(file(tmp_path, *many))
    assert [len(part.answers) for part in parts] == [7, 7, 6]
    assert sorted(answer for part in parts for answer in part.answers) == sorted(map(str, range(20)))
    alone = [{"prompt": f"x{i}", "answer": "a", "score": i % 6} for i in range(4)]
    found, said = heard(read_judged, file(tmp_path, *alone))
    assert found == [Scored(f"x{i}", "a", i % 6) for i in range(4)]
    assert "its score is learned by itself" in said
    with pytest.raises(BadInput, match="gives every answer the score 0"):
        read_judged(file(tmp_path, alone[0], alone[0] | {"prompt": "y"}))


def test_a_file_that_ranks_is_read_once_and_its_notes_are_said_once(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes("prompt,chosen,rejected\nWo?,überall und schön,nirgends\n".encode("cp1252"))
    found, said = heard(read_judged, path)
    assert found == [Ranking("Wo?", ("überall und schön", "nirgends"), (0, 1))]
    assert said.count("pairs.csv is not UTF-8") == 1
