"""`answer` finds words of the text, row by row, and is the same when it is asked again."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from genarium.artefacts import Records
from genarium.checkpoints.layouts import encoder as layout
from genarium.errors import BadCheckpoint, BadInput
from genarium.models.encoder import Encoder, QuestionAnsweringModel
from genarium.models.encoder_config import EncoderConfig
from genarium.run import call, prepare, run

WORDS = [
    "what",
    "who",
    "where",
    "is",
    "the",
    "treasure",
    "mat",
    "under",
    "lies",
    "a",
    "nobody",
    "was",
    "there",
    "gold",
    "?",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A reader whose layers add nothing: it answers "treasure" best, "gold" second, and else its first token."""
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    size = {"n_layers": 1, "n_heads": 1, "d_model": 16, "d_ff": 16, "n_types": 0}
    model = QuestionAnsweringModel(EncoderConfig(vocab_size=len(vocabulary), context_length=64, pooler=False, **size))
    for name, parameter in model.named_parameters():
        if "norm.weight" not in name:
            torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        model.encoder.embedding.weight[:, 0] = 1.0
        for word, place in (("treasure", 1), ("gold", 2), ("[CLS]", 3)):
            model.encoder.embedding.weight[vocabulary[word]] = torch.eye(16)[place]
            model.spans.weight[:, place] = {1: 4.0, 2: 2.0, 3: 3.0}[place]
    layout.save(model, tmp_path / "reader", layout="distilbert")
    tokenizer.save(str(tmp_path / "reader" / "tokenizer.json"))
    return tmp_path / "reader"


def records(*args: Any, **kwargs: Any) -> Records:
    [made] = call("answer", *args, **kwargs)
    assert isinstance(made, Records)
    return made


CONTEXT = "Nobody was there. The treasure lies under the mat. Silver is gold."


def test_the_answer_is_a_range_of_the_text_with_its_own_latency(folder: Path) -> None:
    made = records("Where is the treasure?", context=CONTEXT, model=str(folder))
    [row] = made.rows
    assert row["answer"] == "treasure"
    assert CONTEXT[row["start"] : row["end"]] == row["answer"]
    assert 0 < row["score"] <= 1
    assert len(made.stats["latency_ms"]) == 1
    assert "latency" not in made.content().decode()
    assert "treasure" in str(made)


def test_several_answers_come_best_first(folder: Path) -> None:
    [row] = records("what is it?", context=CONTEXT, top_k=3, model=str(folder)).rows
    answers = row["answers"]
    assert answers[0]["answer"] == "treasure"
    assert [one["score"] for one in answers] == sorted((one["score"] for one in answers), reverse=True)
    assert len({one["answer"] for one in answers}) == 3


def test_scores_of_a_calibrated_reader_are_chances_and_low_ones_are_said(folder: Path) -> None:
    question = "Where is the treasure?"
    before = records(question, context=CONTEXT, top_k=3, no_answer=True, model=str(folder)).rows[0]["answers"]
    config = json.loads((folder / "config.json").read_text())
    config["score_calibration"] = {"answer": [-0.5, 1.0], "no_answer": [1.0, 0.5]}
    (folder / "config.json").write_text(json.dumps(config))
    asked = call("answer", question, context=CONTEXT, top_k=3, no_answer=True, model=str(folder))
    after = asked[0].rows[0]["answers"]  # type: ignore[attr-defined]
    lines = {one["answer"]: (-0.5, 1.0) if one["answer"] else (1.0, 0.5) for one in before}
    expected = {
        one["answer"]: 1 / (1 + math.exp(-lines[one["answer"]][0]) / one["score"] ** lines[one["answer"]][1])
        for one in before
    }
    for one in after:
        if one["answer"] in expected:
            assert one["score"] == pytest.approx(expected[one["answer"]], abs=1e-4)
    assert [one["score"] for one in after] == sorted((one["score"] for one in after), reverse=True)

    alone = call("answer", question, context=CONTEXT, model=str(folder))
    assert alone[0].rows[0]["answer"] == "treasure"  # type: ignore[attr-defined]
    assert alone[0].rows[0]["score"] < 0.5  # type: ignore[attr-defined]
    assert "likelier wrong than right" in alone.notes[0]
    assert "low)" in str(alone) or ", low," in str(alone)


@pytest.mark.parametrize("wrong", [3, {"answer": [0, 1]}, {"answer": [0, -1], "no_answer": [0, 1]}, {"answer": "ab"}])
def test_a_calibration_that_is_none_is_refused(folder: Path, wrong: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"score_calibration": wrong}))
    with pytest.raises(BadCheckpoint, match="score_calibration must have answer and no_answer"):
        records("where?", context=CONTEXT, model=str(folder))


def test_no_answer_is_given_only_where_it_is_allowed(folder: Path) -> None:
    nothing = "Nobody was there."
    [row] = records("where is the treasure?", context=nothing, no_answer=True, model=str(folder)).rows
    assert (row["answer"], row["start"], row["end"]) == ("", 0, 0)
    [row] = records("where is the treasure?", context=nothing, model=str(folder)).rows
    assert row["answer"]
    [row] = records("where is the treasure?", context=CONTEXT, no_answer=True, model=str(folder)).rows
    assert row["answer"] == "treasure"


def test_many_questions_over_one_text_and_over_their_own(folder: Path, tmp_path: Path) -> None:
    story = tmp_path / "story.txt"
    story.write_text(CONTEXT, "utf-8")
    asked = tmp_path / "asked.jsonl"
    lines = [
        {"id": "a", "question": "what is gold?", "context": "Silver is gold."},
        {"id": "b", "question": "where is the treasure?"},
    ]
    asked.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    made = records(["who?", "where?"], context_file=story, questions=asked, model=str(folder))
    assert [row["question"] for row in made.rows] == ["who?", "where?", lines[0]["question"], lines[1]["question"]]
    assert [row.get("id") for row in made.rows] == [None, None, "a", "b"]
    assert [row["answer"] for row in made.rows] == ["treasure", "treasure", "gold", "treasure"]
    assert made.summary.startswith("4 questions; median ")
    together = records(["who?", "where?"], context_file=story, questions=asked, batch_size=3, model=str(folder))
    assert together.content() == made.content()


def test_plain_lines_are_questions_and_words_without_quotes_are_one(folder: Path, tmp_path: Path) -> None:
    asked = tmp_path / "asked.txt"
    asked.write_text("who is there?\n\nwhere is gold?\n", "utf-8")
    made = records(["Where", "is", "it?"], context=CONTEXT, questions=asked, model=str(folder))
    assert [row["question"] for row in made.rows] == ["Where is it?", "who is there?", "where is gold?"]
    made = records(["Who?", "Where?"], context=CONTEXT, model=str(folder))
    assert [row["question"] for row in made.rows] == ["Who?", "Where?"]


def test_a_stopped_run_goes_on_behind_its_last_answer(folder: Path, tmp_path: Path) -> None:
    asked = tmp_path / "asked.txt"
    asked.write_text("\n".join(f"what is {n} ?" for n in range(7)), "utf-8")
    recipe = prepare("answer", context=CONTEXT, questions=asked, batch_size=2, model=str(folder))

    class Stop(Exception):
        pass

    def stop(event: Any) -> None:
        if event.stage == "row" and event.done == 5:
            raise Stop

    with pytest.raises(Stop):
        run(recipe, listener=stop)
    resumed = run(recipe)
    assert any("5 of 7 rows were done" in note for note in resumed.notes)
    assert len(resumed[0].stats["latency_ms"]) == 2
    assert resumed[0].content() == run(recipe, keep=False)[0].content()


def test_a_megabyte_of_text_is_read(folder: Path, tmp_path: Path) -> None:
    story = tmp_path / "long.txt"
    filler = "nobody was there . " * 55_000
    story.write_text(filler[:500_000] + " the treasure " + filler[500_000:], "utf-8")
    [row] = records("where?", context_file=story, max_seq_len=64, doc_stride=4, model=str(folder)).rows
    assert row["answer"] == "treasure"
    assert story.read_text("utf-8")[row["start"] : row["end"]] == "treasure"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"question": ["who?"]}, "no text to answer from"),
        ({"context": CONTEXT}, "answer needs a question"),
        ({"question": ["  "], "context": CONTEXT}, "question is empty"),
        ({"question": ["who?"], "context": "  "}, "context is empty"),
        ({"question": ["the " * 70], "context": CONTEXT}, "question is 70 tokens long, and the model reads 64"),
    ],
)
def test_what_is_missing_is_said(folder: Path, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        call("answer", **arguments, model=str(folder))


def test_files_that_do_not_fit_are_said(folder: Path, tmp_path: Path) -> None:
    empty, asked = tmp_path / "empty.txt", tmp_path / "asked.jsonl"
    empty.write_text("", "utf-8")
    asked.write_text('{"text": "who?"}', "utf-8")
    with pytest.raises(BadInput, match="is empty; give it with"):
        call("answer", "who?", context_file=empty, model=str(folder))
    with pytest.raises(BadInput, match="context and context_file both"):
        call("answer", "who?", context=CONTEXT, context_file=empty, model=str(folder))
    with pytest.raises(BadInput, match="has no rows"):
        call("answer", questions=empty, context=CONTEXT, model=str(folder))


def test_an_encoder_without_a_head_is_refused(tmp_path: Path, folder: Path) -> None:
    bare = tmp_path / "bare"
    layout.save(Encoder(EncoderConfig(vocab_size=30, n_layers=1, n_heads=1, d_model=16, d_ff=16)), bare)
    with pytest.raises(BadCheckpoint, match="no question-answering head"):
        call("answer", "who?", context=CONTEXT, model=str(bare))
