"""LSTM, GRU and GPT of equal weights, trained for equal seconds on one thread: what each learns, how far back it looks.

    python benchmarks/recurrent.py ../shared/data/tinyshakespeare --out runs/recurrent [--seconds 240]

Characters; 2,048 of them an update. A GPT of 4 rotary layers (width 128, context 512) says how many weights there are;
the width of two recurrent layers follows. Seconds are the processor's, so that neighbours count less: from the speed
of a few updates follows how many fit, and the learning rate falls over these. Writes `recurrent.json` and
`recurrent.png`, and prints a row for the table in `docs/rnn.md`. A run goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from genarium.models.gpt import GPT
from genarium.models.rnn import RNN, RNNConfig
from genarium.training import memory
from genarium.training.loop import fit
from genarium.training.objective import Batch, Compute
from genarium.training.objectives.next_token import NextToken, likelihood
from genarium.training.presets import llama
from genarium.training.settings import Settings
from genarium.training.sources.text import TextOptions, TextSource

TOKENS = 2048
"""Of one update."""
CONTEXT = {"gpt": 512, "lstm": 256, "gru": 256}
RATES = {"gpt": 3e-3, "lstm": 4e-3, "gru": 4e-3}


def network(name: str, vocab_size: int) -> nn.Module:
    torch.manual_seed(0)
    gpt = GPT(_with_words(vocab_size))
    if name == "gpt":
        return gpt
    wanted = weights(gpt)
    gates = {"lstm": 4, "gru": 3}[name]
    size = next(h for h in range(16, 4096) if 4 * gates * (h * h + h) + vocab_size * h > wanted) - 1
    return RNN(RNNConfig(vocab_size, name, 2, size))  # type: ignore[arg-type]


def _with_words(vocab_size: int) -> Any:
    return replace(llama(4, 128, 4, 352, CONTEXT["gpt"], 0.0), vocab_size=vocab_size)


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))


def weights(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def updates_in(seconds: float, objective: NextToken, settings: Settings) -> int:
    """How many updates fit, by the median of some."""
    compute, optimizers = Compute(settings, objective.models), objective.optimizers(settings)
    took = []
    for number in range(16):
        began = time.process_time()
        objective.step(objective.models, optimizers, Batch(number, objective.batch, compute))
        took.append(time.process_time() - began)
    return round(seconds / statistics.median(took[4:]))


def train(name: str, text: TextSource, seconds: float, out: Path) -> dict[str, Any]:
    vocab_size, context = text.tokenizer.get_vocab_size(), CONTEXT[name]
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    model = network(name, vocab_size)
    objective = text.objective(model, context=context, batch_size=TOKENS // context, seed=0)
    common: dict[str, Any] = {"precision": "float32", "compile": "off", "weight_decay": 0.01, "checkpoint_minutes": 1.0}
    settings = Settings(learning_rate=RATES[name], min_learning_rate=RATES[name] / 30, **common)
    planned = folder / "updates.json"
    if not planned.exists():
        planned.write_text(json.dumps(updates_in(seconds, objective, settings)))
        model.load_state_dict(network(name, vocab_size).state_dict())
    steps = json.loads(planned.read_text())
    # One evaluation, at the end: its seconds are not the training's.
    settings = Settings(
        **asdict(settings) | {"steps": steps, "evaluate_every": steps, "warmup_steps": min(100, steps // 10)}
    )
    began = time.process_time()
    at = []
    objective.evaluate = lambda: at.append(time.process_time()) or {}  # type: ignore[method-assign,func-returns-value]
    fit(objective, settings, folder)
    model.eval()
    same = likelihood(model, objective.validation, context=512)
    found = memory.measure(model, objective.validation.tokens)
    assert found is not None
    return {
        "weights": weights(model),
        "updates": steps,
        "seconds": round(at[0] - began, 1) if at else None,
        "tokens": steps * TOKENS,
        "loss": same["loss"],
        "memory": asdict(found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, default=Path("runs/recurrent"))
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--only", nargs="+", default=["lstm", "gru", "gpt"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    text = TextSource.read(TextOptions(data=given.data, tokenizer="char", prompt="ROMEO:"))
    file = given.out / "recurrent.json"
    results = json.loads(file.read_text()) if file.exists() else {"cpu": cpu_name()}
    for name in given.only:
        results[name] = one = train(name, text, given.seconds, given.out)
        file.write_text(json.dumps(results, indent=2) + "\n")
        loss = one["memory"]["loss"]
        parts = [statistics.mean(loss[a:b]) for a, b in ((0, 32), (32, 128), (128, 256), (256, 512))]
        gradient = one["memory"]["gradient"]
        row = [name, f"{one['weights']:,}", f"{one['updates']:,}", one["seconds"], f"{one['loss']:.3f}"]
        row += [f"{part:.3f}" for part in parts] + [f"{gradient[k - 1]:.1e}" for k in (1, 10, 50, 200)]
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
    memories = {name.upper(): memory.Memory(**results[name]["memory"]) for name in results if name != "cpu"}
    memory.plot(memories, given.out / "recurrent.png")


if __name__ == "__main__":
    main()
