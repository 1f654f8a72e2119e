"""Greedy decoding at GPT-2 size: Genarium against transformers' `generate`, in one run.

    python benchmarks/decoding.py FOLDER [--repeats 3] [--threads 2]

FOLDER is a GPT-2 checkpoint (random weights will do; 124M parameters in the published layout). Each round times
transformers and Genarium one after the other; the figure is the median over rounds of the time for 64 tokens
(a run of 72 less a run of 8, so that reading the prompt and loading are not in it).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from transformers import GPT2LMHeadModel

from genarium.decoding.generate import generate
from genarium.decoding.sampling import Sampling
from genarium.engines.text.native import NativeText

SHORT, LONG, PROMPT = 8, 72, 32


def of_transformers(model: GPT2LMHeadModel, prompt: list[int], rows: int, length: int) -> list[int]:
    ids = torch.tensor([prompt] * rows)
    with torch.inference_mode():
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=length,
            min_new_tokens=length,
            do_sample=False,
            pad_token_id=0,
        )
    return out[0, len(prompt) :].tolist()


def of_genarium(engine: NativeText, prompt: list[int], rows: int, length: int) -> list[int]:
    sampling = Sampling(max_new_tokens=length, temperature=0.0)
    return [new.token for new in generate(engine.decoder, [prompt] * rows, sampling) if new.row == 0]


def tokens_per_second(run: Callable[[int], object], rows: int) -> float:
    times = {}
    for length in (SHORT, LONG):
        began = time.perf_counter()
        run(length)
        times[length] = time.perf_counter() - began
    return rows * (LONG - SHORT) / (times[LONG] - times[SHORT])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    prompt = torch.randint(0, 40_000, (PROMPT,), generator=torch.Generator().manual_seed(0)).tolist()
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        theirs = GPT2LMHeadModel.from_pretrained(options.folder, dtype=dtype).eval()
        ours = NativeText(options.folder, dtype=name, device="cpu")
        ours.end_tokens = frozenset()
        for rows in (1, 8):
            speeds: dict[str, list[float]] = {"transformers": [], "genarium": []}
            same = of_transformers(theirs, prompt, rows, 32) == of_genarium(ours, prompt, rows, 32)
            for _ in range(options.repeats):
                speeds["transformers"].append(tokens_per_second(partial(of_transformers, theirs, prompt, rows), rows))
                speeds["genarium"].append(tokens_per_second(partial(of_genarium, ours, prompt, rows), rows))
            medians = {who: round(statistics.median(values), 1) for who, values in speeds.items()}
            ratio = round(medians["genarium"] / medians["transformers"], 2)
            print(
                json.dumps({"dtype": name, "batch": rows, **medians, "ratio": ratio, "same_tokens": same}), flush=True
            )


if __name__ == "__main__":
    main()
