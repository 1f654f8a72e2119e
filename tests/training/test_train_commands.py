"""`train` commands are found by listing their folder, share their options, and are there before torch is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genarium.errors import BadInput
from genarium.training import commands
from genarium.training.commands.finetune import finetune
from genarium.training.options import RunOptions, TrainOptions, multiple_of
from genarium.training.settings import Settings

SHARED = {"out", "learning_rate", "checkpoint_minutes", "precision", "device", "seed"}


def test_each_file_is_a_command_that_takes_what_all_take() -> None:
    files = {file.stem for file in Path(str(commands.__file__)).parent.glob("[!_]*.py")} - {"finetune"}
    assert set(commands.names()) == files >= {"gpt", "vae", "match"}
    for name in commands.names():
        command = commands.find(name)
        found = {p.name: p for p in command.parameters}
        assert command.name == f"train {name}"
        assert command.help.startswith(command.summary)
        assert found.keys() >= SHARED | {"steps", "evaluate_every", "batch_size"}, name
        assert all(p.help for p in command.parameters), name
        with pytest.raises(BadInput, match=rf"train {name} has no 'sise'"):
            command(sise=1)
    assert {p.name for p in finetune.parameters} >= SHARED
    assert finetune.name == "finetune"


def test_usual_values_are_the_commands_own_and_ranges_are_everyones() -> None:
    def usual(name: str) -> dict[str, Any]:
        return {p.name: p.default for p in commands.find(name).parameters}

    assert (usual("vae")["steps"], usual("vae")["learning_rate"]) == (4000, 2e-3)
    assert (usual("match")["steps"], usual("match")["checkpoint_minutes"]) == (1000, 2.0)
    assert (usual("gpt")["steps"], usual("diffusion")["learning_rate"]) == (None, None)
    for asked, said in (({"seed": -1}, "seed must be at least 0"), ({"steps": None}, "steps must be a whole number")):
        with pytest.raises(BadInput, match=said):
            commands.find("vae")(**asked)


def test_what_is_asked_for_goes_before_what_is_usual() -> None:
    usual = Settings(steps=900, learning_rate=3e-3, min_learning_rate=7e-5, warmup_steps=150, weight_decay=0.3)
    plain = TrainOptions(device="cpu").settings(usual, falls=10)
    assert (plain.steps, plain.min_learning_rate, plain.warmup_steps, plain.weight_decay) == (900, 7e-5, 90, 0.3)
    asked = TrainOptions(device="cpu", steps=5000, learning_rate=1e-3, seed=4).settings(usual, falls=50)
    assert (asked.steps, asked.learning_rate, asked.min_learning_rate) == (5000, 1e-3, 1e-3 / 50)
    assert (asked.warmup_steps, asked.seed) == (150, 4)
    assert RunOptions().folder("gpt") == Path("runs") / "gpt"
    assert RunOptions(out="here").folder("gpt") == Path("here")


def test_a_size_that_is_no_multiple_is_named_with_one_that_is() -> None:
    multiple_of(64, width=128)
    with pytest.raises(BadInput, match="width must be a multiple of 64, got 30; try 64"):
        multiple_of(64, width=30)


def test_help_imports_no_torch() -> None:
    code = (
        "import sys\nfrom genarium.cli.main import genarium\n"
        "for name in ['--help'], ['gpt', '--help'], ['vae', '--help']:\n"
        "    genarium.main(['train', *name], standalone_mode=False)\n"
        "print([name for name in ('torch', 'numpy', 'tokenizers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
    for name in commands.names():
        assert re.search(rf"^  {name}  ", done.stdout, re.MULTILINE), name


SHOUT = """
from typing import Annotated, Any
from annotated_doc import Doc
from genarium.training.command import command
from genarium.training.options import TrainOptions

@command("A voice.")
def train_shout(
    *, loud: Annotated[bool, Doc("louder")] = False, options: TrainOptions = TrainOptions(steps=7)
) -> dict[str, Any]:
    return {"steps": options.steps, "seed": options.seed, "loud": loud}
"""


def test_another_package_brings_a_command_and_what_is_wrong_with_one_is_said(tmp_path: Path) -> None:
    (tmp_path / "shout.py").write_text(SHOUT)
    described = tmp_path / "shouting-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n")
    brought = {"shout": "shout:train_shout", "gone": "nowhere:train_gone", "gpt": "shout:train_shout"}
    lines = "".join(f"train.{name} = {value}\n" for name, value in brought.items())
    (described / "entry_points.txt").write_text(f"[genarium.commands]\n{lines}")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path))}

    def run(*arguments: str) -> tuple[str, str]:
        line = [sys.executable, "-m", "genarium", "train", *arguments]
        done = subprocess.run(line, capture_output=True, text=True, check=True, env=environment)
        return done.stdout, done.stderr

    shown, said = run("--help")
    assert re.search(r"^  shout +A voice.$", shown, re.MULTILINE)
    assert "A GPT from text" in shown
    assert "gone' of the package shouting 1.0: ModuleNotFoundError" in said
    assert "gpt' of the package shouting 1.0: Genarium has one of that name already" in said
    assert json.loads(run("shout", "--loud", "--seed", "3", "--json")[0]) == {"steps": 7, "seed": 3, "loud": True}
