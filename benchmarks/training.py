"""Training at nanoGPT's published CPU setting: Genarium against nanoGPT itself, in one run.

    python benchmarks/training.py NANOGPT TEXT [--repeats 3]

NANOGPT is a checkout of karpathy/nanoGPT, TEXT its tinyshakespeare `input.txt`. Both train 4 layers, 4 heads,
width 128 on 2,000 batches of 12 x 64 characters, evaluations included, as separate programs one after the other;
the seconds are those each prints between its first and its last step. nanoGPT's loss is the one its own train.py
reports (20 random batches of the validation tenth); Genarium's is over the whole tenth.
"""

from __future__ import annotations

import argparse
import json
import pickle
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ARGUMENTS = [
    "--device=cpu",
    "--compile=False",
    "--dtype=float32",
    "--eval_iters=20",
    "--eval_interval=500",
    "--log_interval=100",
    "--block_size=64",
    "--batch_size=12",
    "--n_layer=4",
    "--n_head=4",
    "--n_embd=128",
    "--max_iters=2000",
    "--lr_decay_iters=2000",
    "--dropout=0.0",
]


def prepare(source: Path, text: Path, folder: Path) -> None:
    """A copy of the checkout with its data made as its `prepare.py` does, which would download the text."""
    shutil.copytree(source, folder)
    data = folder / "data" / "shakespeare_char"
    characters = sorted(set(text.read_text()))
    numbers = {c: i for i, c in enumerate(characters)}
    ids = np.array([numbers[c] for c in text.read_text()], dtype=np.uint16)
    cut = int(len(ids) * 0.9)
    ids[:cut].tofile(data / "train.bin")
    ids[cut:].tofile(data / "val.bin")
    meta = {"vocab_size": len(characters), "itos": dict(enumerate(characters)), "stoi": numbers}
    (data / "meta.pkl").write_bytes(pickle.dumps(meta))


def of_nanogpt(folder: Path) -> dict[str, float]:
    command = [sys.executable, "-u", "train.py", "config/train_shakespeare_char.py", *ARGUMENTS]
    began, out = None, []
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if began is None and line.startswith("step 0"):
                began = time.perf_counter()
            out.append(line)
    assert began is not None, "".join(out)
    losses = re.findall(r"step \d+: train loss [\d.]+, val loss ([\d.]+)", "".join(out))
    return {"seconds": time.perf_counter() - began, "loss": float(losses[-1])}


def of_genarium(text: Path, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "genarium.cli.main", "train", "gpt", "--data", str(text), "--preset", "tiny"]
    command += ["--tokenizer", "char", "--out", str(folder), "--device", "cpu", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {"seconds": found["seconds"], "loss": found["loss"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nanogpt", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = {"nanogpt": [], "genarium": []}
    with tempfile.TemporaryDirectory() as scratch:
        prepare(options.nanogpt, options.text, Path(scratch) / "nanogpt")
        for number in range(options.repeats):
            runs["nanogpt"].append(of_nanogpt(Path(scratch) / "nanogpt"))
            runs["genarium"].append(of_genarium(options.text, Path(scratch) / f"run{number}"))
            print(json.dumps({who: found[-1] for who, found in runs.items()}), flush=True)
    seconds = {who: statistics.median(r["seconds"] for r in found) for who, found in runs.items()}
    loss = {who: statistics.median(r["loss"] for r in found) for who, found in runs.items()}
    print(json.dumps({"seconds": seconds, "loss": loss, "ratio": round(seconds["nanogpt"] / seconds["genarium"], 2)}))


if __name__ == "__main__":
    main()
