"""`train rnn` learns, continues after a kill to the same bits, and tells how far back its network looks."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from genarium.checkpoints.layouts import rnn
from genarium.engines.text.native import NativeText
from genarium.engines.text.protocol import TextRequest
from genarium.training import memory
from genarium.training.commands.rnn import train_rnn
from tests.killing import killed_after

STORY = "The fox ran over the hill. The owl sat in the tree and sang to the moon. "


def options(folder: Path, **more: Any) -> dict[str, Any]:
    story = folder.parent / "story.txt"
    story.write_text(STORY * 120)
    return {
        "data": str(story),
        "out": str(folder),
        "tokenizer": "char",
        "layers": 1,
        "width": 64,
        "context": 32,
        "batch_size": 8,
        "steps": 150,
        "evaluate_every": 50,
        "learning_rate": 2e-2,
        "prompt": "The fox",
        "device": "cpu",
    } | more


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_it_learns_a_text_and_writes_on_beyond_its_training_window(tmp_path: Path, cell: str) -> None:
    figures = train_rnn(**options(tmp_path / cell, cell=cell))
    assert figures["loss"] < 0.15 * math.log(30)
    folder = Path(figures["folder"])
    (done,) = NativeText(folder, device="cpu").write(["The fox"], TextRequest(max_new_tokens=300, temperature=0))
    assert (STORY * 6).startswith("The fox" + done.text)  # by heart, ten windows long
    log = [json.loads(line) for line in (folder / "log.jsonl").open()]
    assert log[-1]["loss"] < log[0]["loss"]
    assert log[-1]["sample"].startswith("The fox ran over")
    assert {(folder / name).read_bytes()[:4] for name in ("loss.png", "memory.png")} == {b"\x89PNG"}
    told = json.loads((folder / "memory.json").read_text())
    assert (len(told["loss"]), len(told["gradient"]), told["windows"]) == (memory.CONTEXT, memory.DISTANCE, 1)
    assert np.mean(told["loss"][100:]) < 0.3
    assert told["gradient"][0] > 100 * told["gradient"][199]
    recipe = json.loads((folder / "training.json").read_text())
    assert (recipe["family"], recipe["identity"]["network"]["cell"]) == ("rnn", cell)


def test_killed_at_any_moment_it_continues_to_the_same_weights(tmp_path: Path) -> None:
    more = {"layers": 2, "dropout": 0.1, "checkpoint_minutes": 0, "steps": 12, "evaluate_every": 6, "validation": 0.05}
    train_rnn(**options(tmp_path / "whole", **more))
    killed = options(tmp_path / "killed", **more)
    flags = [part for name, value in killed.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    killed_after(5, ["train", "rnn", *flags], where="within")
    train_rnn(**killed)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert rnn.load(tmp_path / "killed").config.dropout == 0.1


class Bigram(nn.Module):
    """It looks at one token, and no further."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(7, 5), nn.Linear(5, 7)

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.head(self.embedding(tokens))
        return out


def test_what_looks_one_token_back_has_no_gradient_two_back() -> None:
    torch.manual_seed(0)
    model, tokens = Bigram(), torch.randint(7, (2000,))
    found = memory.measure(model, tokens)
    assert found is not None
    assert (found.windows, len(found.loss), len(found.gradient)) == (3, 512, 200)
    assert found.gradient[0] > 0
    assert set(found.gradient[1:]) == {0.0}
    rows = torch.stack([tokens[start : start + 513] for start in (0, 743, 1487)])
    wanted = F.cross_entropy(model(rows[:, :-1]).transpose(1, 2), rows[:, 1:], reduction="none").mean(0)
    torch.testing.assert_close(
        torch.tensor(found.loss, dtype=torch.float64), wanted.detach().double(), atol=1e-6, rtol=0
    )
    assert memory.measure(model, tokens[:512]) is None
    assert memory.smoothed([0.0, 3.0, 6.0, 0.0, 0.0], 3).tolist() == [0.0, 3.0, 3.0, 2.0, 0.0]
