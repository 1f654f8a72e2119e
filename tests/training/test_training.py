"""Training learns, continues after SIGKILL to the same weights bit for bit, and saves what others open."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from genarium.checkpoints.layouts import gpt
from genarium.checkpoints.processors import tokenizer
from genarium.data import text
from genarium.errors import BadInput, GenariumError
from genarium.training import state
from genarium.training.commands.gpt import train_gpt
from genarium.training.objectives.next_token import likelihood
from genarium.training.settings import Settings
from tests.killing import killed_after

STORY = "The fox ran over the hill. The owl sat in the tree and sang to the moon. "


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("text") / "story.txt"
    file.write_text(STORY * 120)
    return file


def options(story: Path, out: Path, **more: Any) -> dict[str, Any]:
    return {
        "data": str(story),
        "out": str(out),
        "preset": "tiny",
        "tokenizer": "char",
        "context": 32,
        "steps": 40,
        "evaluate_every": 20,
        "dropout": 0.1,
        "device": "cpu",
    } | more


def command(arguments: dict[str, Any]) -> list[str]:
    flags = [part for name, value in arguments.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    return [sys.executable, "-m", "genarium.cli.main", "train", "gpt", *flags, "--json"]


def test_it_learns_and_the_folder_opens_in_transformers(story: Path, tmp_path: Path) -> None:
    figures = train_gpt(**options(story, tmp_path, steps=120, evaluate_every=40, tokenizer="bpe", vocab_size=300))
    uniform = math.log(300)
    assert figures["loss"] < 0.5 * uniform
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [40, 80, 120]
    assert log[-1]["loss"] < log[0]["loss"]
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    ids = tokenizer.load(tmp_path).encode(STORY).ids
    assert AutoTokenizer.from_pretrained(tmp_path)(STORY)["input_ids"] == ids
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    tokens = torch.tensor([ids[:32]])
    with torch.inference_mode():
        torch.testing.assert_close(gpt.load(tmp_path)(tokens), theirs(tokens).logits, atol=1e-4, rtol=0)


def test_a_checkpoint_goes_on_with_its_own_tokenizer_on_other_text(story: Path, tmp_path: Path) -> None:
    first = train_gpt(**options(story, tmp_path / "first", steps=60, context=48))
    more = tmp_path / "more.txt"
    more.write_text("The owl ran to the moon and the fox sat in the hill. " * 150)
    begun = {"init_from": str(tmp_path / "first"), "learning_rate": 1e-4, "dropout": 0.0, "evaluate_every": 1}
    arguments = options(more, tmp_path / "second", steps=1, **begun)
    second = train_gpt(**arguments)
    assert (tmp_path / "second" / "tokenizer.json").read_bytes() == (tmp_path / "first" / "tokenizer.json").read_bytes()
    assert gpt.load(tmp_path / "second").config.context_length == 48
    # One small step from where it was: on words it knows it is far better than a new network.
    assert first["loss"] < second["loss"] < 0.5 * math.log(30)
    recipe = json.loads((tmp_path / "second" / "training.json").read_text())
    assert recipe["init_from"]["reference"] == str(tmp_path / "first")
    with pytest.raises(BadInput, match="context must be at most"):
        train_gpt(**options(more, tmp_path / "third", context=64, init_from=str(tmp_path / "first")))
    with pytest.raises(BadInput, match="another run"):
        train_gpt(**(arguments | {"init_from": None}))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_killed_at_any_moment_it_continues_to_the_same_weights(story: Path, tmp_path: Path, optimizer: str) -> None:
    more = {"optimizer": optimizer, "checkpoint_minutes": 0, "steps": 30, "evaluate_every": 10}
    whole = options(story, tmp_path / "whole", **more)
    train_gpt(**whole)
    killed = options(story, tmp_path / "killed", **more)
    for checkpoints, where in ((1, "within"), (11, "before")):
        killed_after(checkpoints, command(killed)[3:], where=where)
    facts = state.read_facts(tmp_path / "killed")
    assert facts is not None
    assert facts["step"] == 12  # that many were kept, and each run went on from the last
    train_gpt(**killed)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    logs = [
        [
            {k: v for k, v in json.loads(line).items() if k != "seconds"}
            for line in (tmp_path / name / "log.jsonl").open()
        ]
        for name in ("whole", "killed")
    ]
    assert logs[0] == logs[1]


def test_an_interrupt_keeps_the_step_it_was_in(story: Path, tmp_path: Path) -> None:
    arguments = options(story, tmp_path, steps=5000, evaluate_every=10)
    with subprocess.Popen(command(arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "log.jsonl").exists() and process.poll() is None:
            time.sleep(0.01)
        assert state.read_facts(tmp_path) is None  # the first checkpoint would come after five minutes
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=600)
    assert process.returncode == 130
    assert b"Traceback" not in error
    facts = state.read_facts(tmp_path)
    assert facts is not None
    assert 10 <= facts["step"] < 5000


def test_another_run_in_the_same_folder_is_refused_and_named(story: Path, tmp_path: Path) -> None:
    train_gpt(**options(story, tmp_path, steps=4))
    before = (tmp_path / state.FILE).read_bytes()
    with pytest.raises(BadInput, match="seed was 0, now 1"):
        train_gpt(**options(story, tmp_path, steps=4, seed=1))
    assert (tmp_path / state.FILE).read_bytes() == before


def test_a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_last_checkpoint(story: Path, tmp_path: Path) -> None:
    with pytest.raises(GenariumError, match="not a finite number at step"):
        train_gpt(**options(story, tmp_path, learning_rate=1e9, steps=60, checkpoint_minutes=0))
    kept = load_file(tmp_path / state.FILE)
    assert all(torch.isfinite(t.float()).all() for name, t in kept.items() if name.startswith("model."))


def test_the_learning_rate_warms_up_then_falls_to_its_floor() -> None:
    plan = Settings(steps=100, learning_rate=1.0, min_learning_rate=0.1, warmup_steps=10)
    rates = [plan.learning_rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(0.55, abs=0.01)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


def test_accumulated_batches_make_the_update_of_one_large_batch(story: Path, tmp_path: Path) -> None:
    """Batches are consecutive, so four of 3 rows hold the rows of one of 12."""
    small = {"steps": 3, "dropout": 0.0, "precision": "float32"}
    train_gpt(**options(story, tmp_path / "one", batch_size=12, **small))
    train_gpt(**options(story, tmp_path / "four", batch_size=3, grad_accumulation=4, **small))
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "four"))
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, atol=2e-4, rtol=0)


def test_likelihood_is_that_of_a_direct_computation(story: Path, tmp_path: Path) -> None:
    train_gpt(**options(story, tmp_path, steps=4))
    model, made = gpt.load(tmp_path), tokenizer.load(tmp_path)
    measured = text.Measured.of(made, [STORY], made.token_to_id(text.END_OF_TEXT))
    tokens = measured.tokens
    context, stride = 32, 8
    nats, size = 0.0, 0
    for target in range(1, len(tokens)):
        # The first window that holds the target gives it all that stands before it there.
        start = max(0, math.ceil((target - context) / stride)) * stride
        logits = model(tokens[start:target].long().unsqueeze(0))[0, -1]
        nats -= float(logits.log_softmax(-1)[tokens[target]])
        size += 1
    found = likelihood(model, measured, context=context, stride=stride)
    assert found["loss"] == pytest.approx(nats / size, rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / len(STORY[1:].encode()), rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(length=st.integers(10, 400), context=st.integers(2, 9), rows=st.integers(1, 5), seed=st.integers(0, 99))
def test_an_epoch_reads_every_window_once_and_batches_depend_on_their_number_alone(
    length: int, context: int, rows: int, seed: int
) -> None:
    tokens = torch.arange(length, dtype=torch.int32)
    windows = text.Windows(tokens, context, rows, seed)
    starts = windows.starts(0)
    assert len(set(starts.tolist())) == windows.per_epoch
    assert starts.min() >= 0
    assert starts.max() + context + 1 <= length
    covered = sorted(t for s in starts for t in range(s, s + context))
    assert len(covered) == len(set(covered))
    order = [5, 0, 9, 5]
    fresh = text.Windows(tokens, context, rows, seed)
    for number in order:
        inputs, targets = windows.batch(number)
        again = text.Windows(tokens, context, rows, seed).batch(number)
        assert torch.equal(inputs, again[0])
        assert torch.equal(targets, inputs + 1)
        assert torch.equal(fresh.batch(number)[0], inputs)


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=80))
def test_tokenizers_give_every_text_back(sample: str) -> None:
    import unicodedata

    normal = unicodedata.normalize("NFC", sample)
    made = text.bpe_tokenizer([STORY, sample], 280)
    assert made.decode(made.encode(sample).ids) == normal or text.END_OF_TEXT in sample
    chars = text.char_tokenizer([sample])
    assert chars.decode(chars.encode(sample).ids) == sample or text.END_OF_TEXT in sample
