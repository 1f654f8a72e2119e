"""Commands on starters import nothing of torch; a recipe says what computed it, and an old one means torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import genarium
from genarium.engines import registry
from genarium.errors import BadInput
from genarium.recipe import Recipe
from genarium.run import prepare, run

CHECK = """
import sys
from genarium.__main__ import start
try:
    start()
except SystemExit as ended:
    assert not ended.code, ended.code
print("IMPORTED", sorted(name for name in sys.modules if name.partition(".")[0] in ("torch", "transformers", "onnx")))
"""
TEXT = "The lighthouse was built in 1862. Its keeper wrote down the weather of every evening. The museum has the books."
VERBS = [("love", "good"), ("enjoyed", "good"), ("hate", "bad"), ("disliked", "bad")]
COMMANDS = {
    "embed": ["embed", "what the keeper wrote", "--static"],
    "classify": ["classify", "a lovely film and well played", "--model", "starter/sentiment"],
    "classify by labels": ["classify", "a lovely film and well played", "--labels", "good,bad"],
    "classify from examples": ["classify", "what a lovely song", "--few-shot", "examples.csv"],
    "rank": ["rank", "who wrote it", "the keeper wrote it", "the cat sat"],
    "rank by a cross-encoder": ["rank", "who wrote it", "he wrote it", "the cat sat", "--model", "starter/rank"],
    "answer": ["answer", "Who wrote down the weather?", "--context", TEXT],
    "summarize": ["summarize", TEXT, "--sentences", "1"],
    "ask": ["ask", "What did the keeper write down?"],
    "ask a reader": ["ask", "What did the keeper write down?", "--model", "starter/answer"],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "documents").mkdir()
    (home / "documents" / "lighthouse.txt").write_text(TEXT)
    rows = [f"I {verb} this {what},{label}" for verb, label in VERBS for what in ("film", "song")]
    (home / "examples.csv").write_text("\n".join(["text,label", *rows]))
    assert called(["index", str(home / "documents")], home) == "[]"
    return home


def called(command: list[str], home: Path) -> str:
    environment = {**os.environ, "GENARIUM_HOME": str(home / "data")}
    done = subprocess.run(
        [sys.executable, "-c", CHECK, *command], capture_output=True, text=True, env=environment, cwd=home, check=False
    )
    assert "IMPORTED" in done.stdout, done.stdout + done.stderr
    return done.stdout.rpartition("IMPORTED ")[2].strip()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_on_its_starter_imports_no_torch(home: Path, command: str) -> None:
    assert called(COMMANDS[command], home) == "[]"


def test_a_recipe_says_what_computed_it_and_one_of_before_means_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genarium.devices.has_gpu", lambda: False)
    now = prepare("embed", texts=["a text"])
    assert now.arguments["backend"] == "onnx"
    before = {name: value for name, value in now.arguments.items() if name != "backend"}
    old = Recipe.of("embed", before, now.model, now.seed)
    [made], [expected] = run(old, keep=False), genarium.embed(["a text"], backend="torch")
    assert made.content() == expected.content().replace(expected.recipe.digest.encode(), old.digest.encode())
    np.testing.assert_array_equal(made.embeddings, registry.open_encoder("starter", backend="torch").embed(["a text"]))
    [new] = run(now, keep=False)
    np.testing.assert_allclose(new.embeddings, made.embeddings, atol=1e-5)


@pytest.mark.parametrize(
    ("asked", "gpu", "recorded"),
    [
        ({}, False, "onnx"),
        ({}, True, "torch"),
        ({"dtype": "float32"}, False, "torch"),
        ({"dtype": "bfloat16"}, False, "torch"),
        ({"dtype": "float32", "backend": "onnx"}, True, "onnx"),
        ({"backend": "torch"}, False, "torch"),
    ],
)
def test_which_library_computes(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, str], gpu: bool, recorded: str
) -> None:
    monkeypatch.setattr("genarium.devices.has_gpu", lambda: gpu)
    assert prepare("answer", question=["Who?"], context="He.", **asked).arguments["backend"] == recorded


def test_bfloat16_on_onnxruntime_is_refused() -> None:
    with pytest.raises(BadInput, match="bfloat16 is computed by torch"):
        prepare("answer", question=["Who?"], context="He.", dtype="bfloat16", backend="onnx")


def test_answers_and_labels_are_the_same_by_either_library() -> None:
    texts = ["a lovely film", "dull and far too long", "it was fine, I think", "not bad at all"]
    rows = [genarium.classify(texts, model="starter/sentiment", backend=one)[0].rows for one in ("onnx", "torch")]
    for ours, theirs in zip(*rows, strict=True):
        assert ours["label"] == theirs["label"]
        assert ours["probabilities"] == pytest.approx(theirs["probabilities"], abs=1e-5)
    found = [
        genarium.answer(["Who wrote down the weather?", "When was it built?"], context=TEXT, backend=one, top_k=3)[
            0
        ].rows
        for one in ("onnx", "torch")
    ]
    for ours, theirs in zip(*found, strict=True):
        assert [(one["answer"], one["start"]) for one in ours["answers"]] == [
            (one["answer"], one["start"]) for one in theirs["answers"]
        ]
