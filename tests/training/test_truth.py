"""What training says is so: a run is what it learned from, nothing learned is measured, figures count what is there."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from genarium.data import text
from genarium.data.labelled import Pair, Question
from genarium.errors import BadInput, GenariumError
from genarium.files import sha256
from genarium.progress import listening
from genarium.training import state
from genarium.training.commands.finetune import finetune
from genarium.training.commands.gpt import train_gpt
from genarium.training.loop import fit
from genarium.training.objective import Objective
from genarium.training.objectives.classify import Rank
from genarium.training.objectives.next_token import likelihood
from genarium.training.objectives.span import AnswerSpans, SpanWindows
from genarium.training.settings import Settings
from genarium.training.sources.images import Folder
from genarium.training.sources.inputs import Inputs
from tests.small_encoder import BAD, GOOD, THINGS, make_base

Row = dict[str, Any]


def told(run: Callable[[], Any]) -> tuple[Any, list[str]]:
    """What a call gives, and the notes it says."""
    notes: list[str] = []
    with listening(lambda event: notes.append(event.preview) if event.stage == "note" else None):
        return run(), notes


def written(file: Path, rows: list[Row]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


def options(base: Path, data: Path, out: Path, **more: Any) -> dict[str, Any]:
    return {"from_": str(base), "data": data, "out": str(out), "epochs": 1, "batch_size": 8, "device": "cpu"} | more


def reviews(count: int) -> list[Row]:
    words = [
        (word, kind) for pair in zip(GOOD, BAD, strict=True) for word, kind in zip(pair, ("good", "bad"), strict=True)
    ]
    rows = []
    for number in range(count):
        (word, label), thing = words[number % len(words)], THINGS[number % len(THINGS)]
        rows.append({"text": f"{word} {thing} {number}", "label": label})
    return rows


def questions(count: int) -> list[Row]:
    rows = []
    for number in range(count):
        context = f"the {THINGS[number % 6]} is red and the {THINGS[(number + 1) % 6]} is blue {number}"
        rows.append(
            {"question": "what is red", "context": context, "answer_start": context.index("red"), "text": "red"}
        )
    return rows


def pairs(count: int) -> list[Row]:
    return [{"query": f"film {n}", "passage": f"the {THINGS[n % 6]}", "label": n % 2} for n in range(count)]


def corrected(rows: list[Row], task: str) -> list[Row]:
    """The same texts with another target in one row that is learned and one that may be watched."""
    match task:
        case "classify":
            return [row | {"label": {"good": "bad", "bad": "good"}[row["label"]]} for row in rows]
        case "answer":
            return [row | {"answer_start": row["context"].index("blue"), "text": "blue"} for row in rows]
    return [row | {"label": 1 - row["label"]} for row in rows]


@pytest.mark.parametrize(("task", "made"), [("classify", reviews), ("answer", questions), ("rank", pairs)])
def test_a_run_is_another_one_where_its_targets_are(
    base: Path, tmp_path: Path, task: str, made: Callable[[int], list[Row]]
) -> None:
    """The texts are the same token for token: what they are to be taken for is not."""
    rows, data, out = made(24), tmp_path / "data.jsonl", tmp_path / "out"
    first = finetune(**options(base, written(data, rows), out, task=task))
    digest = sha256(data)
    assert finetune(**options(base, data, out, task=task)) == first  # the same run, finished
    written(data, corrected(rows, task))
    with pytest.raises(
        BadInput, match=r"holds another run \(.*targets differ.*; continue it with the options and the data"
    ):
        finetune(**options(base, data, out, task=task))
    assert json.loads((out / "training.json").read_text())["data"]["sha256"] == digest
    # What is only watched decides the figures, and belongs to the run as well.
    validation = written(
        tmp_path / "watched.jsonl",
        [row | {"query": "song", "text": row["text"]} if task == "answer" else row for row in made(30)[24:]],
    )
    if task == "rank":
        written(validation, [row | {"query": f"song {n}"} for n, row in enumerate(pairs(6))])
    other = options(base, written(data, rows), tmp_path / "other", task=task, validation_data=validation)
    finetune(**other)
    written(validation, corrected([json.loads(line) for line in validation.read_text().splitlines()], task))
    with pytest.raises(BadInput, match="watched targets differ"):
        finetune(**other)


def test_a_run_is_another_one_where_its_head_is(base: Path, tmp_path: Path) -> None:
    data = written(tmp_path / "data.jsonl", reviews(24))
    finetune(**options(base, data, tmp_path / "out", head_only=True))
    with pytest.raises(BadInput, match="pool was 'first', now 'mean'"):
        finetune(**options(base, data, tmp_path / "out", head_only=True, pool="mean"))


def test_a_file_that_changes_while_it_is_learned_is_not_vouched_for(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, extra = written(tmp_path / "data.jsonl", reviews(24)), written(tmp_path / "held.jsonl", reviews(40)[32:])
    digests = {file: sha256(file) for file in (data, extra)}

    def changing(*arguments: Any) -> Any:
        written(data, reviews(12))
        return fit(*arguments)

    monkeypatch.setattr("genarium.training.finetuning.fit", changing)
    finetune(**options(base, data, tmp_path / "out", holdout=extra))
    recipe = json.loads((tmp_path / "out" / "training.json").read_text())["data"]
    assert sha256(data) != digests[data]
    assert (recipe["sha256"], recipe["holdout"]) == (digests[data], digests[extra])


def test_what_is_measured_is_not_learned(base: Path, tmp_path: Path) -> None:
    """Nor what differs from it in case, white space and width alone."""
    rows = reviews(60)
    data, measured = written(tmp_path / "data.jsonl", rows), tmp_path / "measured.jsonl"
    written(measured, [row | {"text": f" {row['text'].upper().replace(' ', '  ')}"} for row in rows[:20]])
    asked = options(base, data, tmp_path / "out", validation_data=measured, holdout=measured)
    _, notes = told(lambda: finetune(**asked))
    assert json.loads((tmp_path / "out" / "training.json").read_text())["data"]["rows"] == 40
    assert any(
        "20 of 60 examples to learn from in data.jsonl are validation or held out as well" in one for one in notes
    )
    with pytest.raises(BadInput, match=r"every row of .* is measured as well"):
        finetune(**options(base, data, tmp_path / "none", validation_data=data))
    _, notes = told(lambda: finetune(**options(base, data, tmp_path / "also", also=measured, validation_data=measured)))
    assert any("20 of 20 examples to learn from in measured.jsonl" in one for one in notes)
    spread = [*rows, *[row | {"text": row["text"].upper()} for row in rows]]
    finetune(**options(base, written(data, spread), tmp_path / "shared", validation=0.2))
    assert json.loads((tmp_path / "shared" / "training.json").read_text())["data"]["rows"] == 96


def test_data_that_can_teach_little_is_said(base: Path, tmp_path: Path) -> None:
    rows = [*reviews(30), {"text": "lovely film 0", "label": "bad"}]
    _, notes = told(
        lambda: finetune(**options(base, written(tmp_path / "a.jsonl", rows), tmp_path / "a", validation=0))
    )
    assert any("1 texts to learn from have more than one label, as 'lovely film 0'" in one for one in notes)
    rows = [{"text": f"film {n}", "label": str(n * 1.5)} for n in range(16)]
    data = written(tmp_path / "b.jsonl", rows)
    _, notes = told(lambda: finetune(**options(base, data, tmp_path / "b", validation=0)))
    assert any("16 labels for 16 rows" in one for one in notes)
    _, notes = told(lambda: finetune(**options(base, written(data, reviews(4)), tmp_path / "c", validation=0.1)))
    assert any("nothing is left for validation: 0.1 of 4 rows is less than one" in one for one in notes)


def test_one_long_question_ends_no_run(base: Path, tmp_path: Path) -> None:
    """Longer than the window it is left out by its row; where it leaves less room than windows overlap, it is read."""
    long = " ".join(["what"] * 70)
    data = written(
        tmp_path / "data.jsonl",
        [*questions(12), questions(1)[0] | {"question": long, "context": "so red", "answer_start": 3}],
    )
    _, notes = told(
        lambda: finetune(**options(base, data, tmp_path / "out", task="answer", max_length=64, validation=0))
    )
    assert any("1 of 13 questions (row 13) leave less than 8 of the 64 tokens" in one for one in notes)
    assert json.loads((tmp_path / "out" / "training.json").read_text())["data"]["rows"] == 12
    with pytest.raises(BadInput, match=r"1 of 1 questions leave less than 8 of the 64 tokens .*--max-length"):
        finetune(
            **options(
                base,
                written(data, [questions(1)[0] | {"question": long}]),
                tmp_path / "none",
                task="answer",
                max_length=64,
            )
        )
    tight = Question(" ".join(["what"] * 32), "the film " * 20 + "red", 180, 183)
    from tokenizers import Tokenizer

    windows = SpanWindows(
        Tokenizer.from_file(str(base / "tokenizer.json")), [tight, Question("what", "red", 0, 3)], 48, 16
    )
    assert len(windows.questions) == 2
    assert all(len(encoding) <= 48 for encoding in windows.encodings)
    assert {owner for owner, span in zip(windows.owners, windows.spans, strict=True) if span != (0, 0)} == {0, 1}


def test_equal_scores_are_no_merit_of_the_order() -> None:
    """A network that says the same of every passage has not found the good one, though it is written first."""

    class Same(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, tokens: torch.Tensor, **_: Any) -> torch.Tensor:
            return torch.zeros(len(tokens), 1)

    rows = [Pair("q", passage, float(place == 0)) for place, passage in enumerate("abcd")]
    inputs = Inputs([[1, 2]] * 4, [[0, 0]] * 4)
    same: Any = Same()
    rank = Rank(same, (rows, inputs), (rows, inputs), batch_size=2, seed=0, identity={})
    assert rank.evaluate()["mrr"] == 1 / 4


def test_every_right_answer_counts(base: Path) -> None:
    from tokenizers import Tokenizer

    class Finds(nn.Module):
        """Says that the answer is the second word of the context."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, tokens: torch.Tensor, **_: Any) -> torch.Tensor:
            scores = torch.zeros(*tokens.shape, 2)
            scores[:, 4] = 5.0
            return scores

    made = Tokenizer.from_file(str(base / "tokenizer.json"))
    asked = [Question("what", "the film was", 0, 3, others=("film",))]
    windows = SpanWindows(made, asked, 32, 8)
    finds: Any = Finds()
    objective = AnswerSpans(finds, (asked, windows), (asked, windows), batch_size=1, seed=0, identity={})
    assert objective.evaluate()["exact_match"] == objective.evaluate()["f1"] == 1


STORY = "The fox ran over the hill. The owl sat in the tree and sang to the moon. "


def story_options(data: Path, out: Path, **more: Any) -> Row:
    small = {"preset": "tiny", "tokenizer": "char", "context": 16, "steps": 2, "evaluate_every": 2, "device": "cpu"}
    return {"data": str(data), "out": str(out), "compile": "off", "precision": "float32"} | small | more


def test_bits_per_byte_are_of_the_bytes_that_are_there(tmp_path: Path) -> None:
    """Of characters that no one knows, and of those that a name in brackets stands for."""
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text(STORY * 20)
    held = "".join("é" if n % 3 == 0 else c for n, c in enumerate(STORY * 2)) + "\n<|endoftext|>"
    (folder / "held.txt").write_text(held)
    figures, notes = told(lambda: train_gpt(**story_options(folder, tmp_path / "out", holdout=["held.txt"])))
    from genarium.checkpoints.layouts import gpt
    from genarium.checkpoints.processors import tokenizer

    model, made = gpt.load(tmp_path / "out"), tokenizer.load(tmp_path / "out")
    end = made.token_to_id(text.END_OF_TEXT)
    measured = text.Measured.of(made, [held], end)
    assert measured.n_bytes == len(held[1:].encode())
    loss = likelihood(model, measured, context=16, stride=8)["loss"]
    true = loss * (len(measured.tokens) - 1) / math.log(2) / len(held[1:].encode())
    assert figures["bits_per_byte on held.txt"] == pytest.approx(true, rel=1e-4)
    assert any("characters of held.txt are unknown to the tokenizer ('é'" in one for one in notes)


def test_text_that_is_changed_before_it_is_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(("Cafe\u0301 by the sea.\r\n" * 60).encode())
    asked = story_options(tmp_path / "a.txt", tmp_path / "out", tokenizer="bpe", vocab_size=300)
    _, notes = told(lambda: train_gpt(**asked))
    assert any("the tokenizer changes the text before it reads it" in one for one in notes)
    assert any("line ends of a.txt are read as" in one for one in notes)


def test_files_held_out_are_called_by_what_tells_them_apart(tmp_path: Path) -> None:
    """Two of one name are both measured, an empty one is refused, and what is there twice is said."""
    folder = tmp_path / "texts"
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True)
    (folder / "a.txt").write_text("\n".join(f"{STORY}{n}" for n in range(20)))
    (folder / "one" / "b.txt").write_text("\n".join(f"{STORY}{n}" for n in range(5, 30)))
    (folder / "two" / "b.txt").write_text(STORY * 3)
    asked = story_options(folder, tmp_path / "out", holdout=["b.txt"], validation=0)
    figures, notes = told(lambda: train_gpt(**asked))
    assert {"bits_per_byte on one/b.txt", "bits_per_byte on two/b.txt"} <= figures.keys()
    assert "bits_per_byte" not in figures  # nothing is watched: no figure of nothing
    assert any("15 of 25 long lines of one/b.txt are in what is learned as well" in one for one in notes)
    recipe = json.loads((tmp_path / "out" / "training.json").read_text())
    assert recipe["sha256"]["a.txt"] == sha256(folder / "a.txt")
    (folder / "two" / "b.txt").write_text("")
    with pytest.raises(BadInput, match=r"two/b\.txt is empty"):
        train_gpt(**asked | {"out": str(tmp_path / "other")})


def test_other_texts_with_the_same_tokens_are_another_run(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("abab" * 100)
    train_gpt(**story_options(file, tmp_path / "out"))
    file.write_text("xyxy" * 100)
    with pytest.raises(BadInput, match="holds another run"):
        train_gpt(**story_options(file, tmp_path / "out"))


def test_a_loss_without_a_gradient_ends_before_it_is_kept(tmp_path: Path) -> None:
    """The checkpoint that is called the last good one is good: no weight in it is not a number."""

    class Steep(Objective):
        def __init__(self) -> None:
            self.model, self.identity = nn.Linear(1, 1), {"data": {}}

        def batch(self, index: int) -> tuple[torch.Tensor, ...]:
            return (torch.tensor([float(index)]),)

        def loss(self, index: torch.Tensor) -> torch.Tensor:
            # At the third step the loss is 0 and its slope infinite.
            distance = self.model(torch.zeros(1, 1)).sum().square() * (index < 2).float().sum()
            return distance.sqrt() if index >= 2 else distance

        def evaluate(self) -> dict[str, float]:
            return {}

        def preview(self, step: int) -> str:
            return ""

    settings = Settings(steps=5, warmup_steps=0, checkpoint_minutes=0, evaluate_every=5)
    with pytest.raises(GenariumError, match=r"not a finite number at step 3; .*the last good checkpoint is step 2"):
        fit(Steep(), settings, tmp_path)
    facts = state.read_facts(tmp_path)
    assert facts is not None
    assert facts["step"] == 2
    with pytest.raises(GenariumError, match="no checkpoint was kept yet"):
        fit(Steep(), Settings(steps=5, warmup_steps=0, evaluate_every=5), tmp_path / "other")


def test_an_image_held_out_is_learned_under_no_other_name(tmp_path: Path) -> None:
    from PIL import Image

    for number in range(30):
        Image.new("RGB", (16, 16), (number * 8, 7 * number % 256, 200)).save(tmp_path / f"{number:03}.png")
    plain = Folder(tmp_path, 16, seed=0, captioned=False)
    held = [plain.listed[place].file for place in plain.held_out]
    for file in held:
        shutil.copy(file, tmp_path / f"copy of {file.name}")
    copied, notes = told(lambda: Folder(tmp_path, 16, seed=0, captioned=False))
    measured = {sha256(copied.listed[place].file) for place in copied.held_out}
    assert not measured & {sha256(copied.listed[place].file) for place in copied.shown}
    assert any("are copies of pictures held out and are left out" in one for one in notes)
