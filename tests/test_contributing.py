"""The recipes of CONTRIBUTING.md, as they stand there, are a package that adds all it says, by new files alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from genarium.data.text import char_tokenizer

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LETTERS = "abcdefgh"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, by pip."""
    source = tmp_path_factory.mktemp("recipes")
    files = dict(BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text("utf-8")))
    assert files.keys() == {"pyproject.toml", "shout.py", "overlap.py", "line.py", "bigram.py"}
    (source / "genarium_recipes").mkdir()
    (source / "genarium_recipes" / "__init__.py").touch()
    for name, text in files.items():
        (source / ("" if name.endswith(".toml") else "genarium_recipes") / name).write_text(text, "utf-8")
    target = source / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(target), str(source)], check=True)
    return target


def genarium(installed: Path, home: Path, *arguments: str) -> str:
    path = os.pathsep.join([str(ROOT), str(installed)])
    done = subprocess.run(
        [sys.executable, "-m", "genarium", *arguments],
        env=os.environ | {"PYTHONPATH": path, "GENARIUM_HOME": str(home / "home")},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "left out" not in done.stderr
    return done.stdout


def test_a_task(installed: Path, tmp_path: Path) -> None:
    assert genarium(installed, tmp_path, "shout", "hello", "--times", "2", "-q").strip() == "HELLOHELLO"


def test_an_engine(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "overlap"}')
    passages = ("cats sleep a lot", "put the egg in water")
    shown = genarium(installed, tmp_path, "rank", "boil the egg", *passages, "--model", "./model", "-q")
    assert [line.split()[:2] for line in shown.splitlines()] == [["1", "2.000"], ["2", "0.000"]]


def test_an_objective_and_its_command(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("".join(f"{x},{2 * x + 1}\n" for x in range(-2, 3)))
    figures = json.loads(
        genarium(installed, tmp_path, "train", "line", "--data", "points.csv", "--out", "run", "--json")
    )
    assert figures["loss"] < 1e-3
    assert {file.name for file in (tmp_path / "run").iterdir()} >= {"model.safetensors", "training.json", "loss.png"}


def test_a_layout(installed: Path, tmp_path: Path) -> None:
    """Every letter is followed by the next one: a text by it, a grammar's JSON, and what each token's chance was."""
    folder = tmp_path / "bigram"
    folder.mkdir()
    tokenizer = char_tokenizer([LETTERS])
    size = tokenizer.get_vocab_size()
    table = torch.zeros(size, size)
    for one, after in zip(LETTERS, LETTERS[1:] + LETTERS[0], strict=True):
        table[tokenizer.token_to_id(one), tokenizer.token_to_id(after)] = 50.0
    save_file({"table.weight": table}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "bigram", "vocab_size": size}))
    tokenizer.save(str(folder / "tokenizer.json"))
    asked = ["text", "abc", "--model", "./bigram", "--max-new-tokens", "7", "--logprobs", "0", "-n", "2", "--json"]
    shown = json.loads(genarium(installed, tmp_path, *asked))
    assert shown["texts"] == ["defghab"] * 2
    assert all(abs(token["logprob"]) < 1e-6 for token in shown["artefacts"][0]["logprobs"])
