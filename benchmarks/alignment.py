"""`python benchmarks/alignment.py [--threads N] [--steps N]`: SFT and DPO beside TRL, at one model, batch and seed.

Both train LoRA of rank 16 over starter/text on the same texts: first the losses on one batch with the same adapters,
then seconds a step (forward, backward, update), in turns, and medians. Needs TRL, peft, accelerate and datasets.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from genarium.checkpoints.store.find import find
from genarium.data.conversations import Example
from genarium.data.preferences import Preference
from genarium.training import policy
from genarium.training.adapters import LoRALinear
from genarium.training.logprobs import of_marked
from genarium.training.objectives.dpo import dpo_loss, likelihoods
from genarium.training.sources.answered import Answered
from genarium.training.sources.pairs import Pairs

WORDS = "the a fox hill moon ran sang over to and was in of his her it by day night king river tree".split()
RANK, ALPHA, BETA, BATCH = 16, 32.0, 0.1, 16


def texts(count: int, words: int) -> list[tuple[str, str, str]]:
    """Prompts with two answers each, of up to so many words."""
    draw = random.Random(0)

    def say(least: int) -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(least, words)))

    return [(say(4).capitalize(), " " + say(4), " " + say(4)) for _ in range(count)]


def theirs(kind: str, rows: list[tuple[str, str, str]], folder: Path, out: Path) -> tuple[Any, dict[str, Any]]:
    """TRL's trainer with a new adapter, and one batch of it."""
    import pyarrow
    import trl
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    names = ("prompt", "completion") if kind == "sft" else ("prompt", "chosen", "rejected")
    table = pyarrow.Table.from_pylist([dict(zip(names, row, strict=False)) for row in rows])
    data = Dataset(table, fingerprint=f"genarium-{kind}")  # made by itself, it fails with some versions of pyarrow
    common = {"output_dir": str(out), "use_cpu": True, "report_to": [], "per_device_train_batch_size": BATCH}
    common |= {"gradient_checkpointing": False, "bf16": False, "max_length": 256}
    args = trl.SFTConfig(**common) if kind == "sft" else trl.DPOConfig(beta=BETA, **common)
    lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM", lora_dropout=0.0)
    trainer = (trl.SFTTrainer if kind == "sft" else trl.DPOTrainer)(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        args=args,
        train_dataset=data,
        processing_class=AutoTokenizer.from_pretrained(folder),
        peft_config=lora,
    )
    return trainer, trainer.data_collator([trainer.train_dataset[i] for i in range(len(rows))])


def same_adapters(made: policy.Policy, theirs: Any) -> None:
    """Give both the same random numbers, B included."""
    torch.manual_seed(1)
    for module in made.model.modules():
        if isinstance(module, LoRALinear):
            module.lora_b.data.normal_(std=0.02)
    ours = {name: tensor.clone() for name, tensor in policy.lora_tensors(made).items()}
    scale = ALPHA / RANK
    taken = 0
    for name, parameter in theirs.named_parameters():
        if ".lora_" in name:
            tensor = ours[name.replace(".default.", ".")]
            parameter.data.copy_(tensor / scale if ".lora_B." in name else tensor)
            taken += 1
    assert taken == len(ours), (taken, len(ours))


def seconds(step: Callable[[], torch.Tensor], parameters: list[torch.nn.Parameter]) -> Callable[[], float]:
    """One whole update, timed."""
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, fused=True)

    def timed() -> float:
        began = time.perf_counter()
        step().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - began

    return timed


def compare(kind: str, steps: int, words: int, out: Path) -> None:
    rows, folder = texts(BATCH, words), find("starter/text", default="text").path
    assert folder is not None
    made = policy.load("starter/text", rank=RANK, alpha=ALPHA)
    trainer, batch = theirs(kind, rows, folder, out)
    same_adapters(made, trainer.model)
    made.model.train()
    trainer.model.train()
    if kind == "sft":
        encoded = Answered.encode(made, [Example(prompt, answer) for prompt, answer, _ in rows], 256, "texts")
        tokens, marks = encoded.block(range(len(rows)))

        def ours() -> torch.Tensor:
            return -of_marked(made.model, tokens, marks).mean()

        n_tokens = sum(encoded.lengths)
    else:
        pairs = Pairs.encode(made, [Preference(*row) for row in rows], 256, "texts")
        tokens, marks = pairs.block(range(len(rows)))
        with torch.no_grad(), made.reference() as network:
            reference = likelihoods(network, tokens, marks)

        def ours() -> torch.Tensor:
            return dpo_loss(likelihoods(made.model, tokens, marks), reference, beta=BETA).mean()

        n_tokens = sum(pairs.texts.lengths)
    assert int(batch["attention_mask"].sum()) == n_tokens, "the two read other tokens"

    def other() -> torch.Tensor:
        loss: torch.Tensor = trainer.compute_loss(trainer.model, dict(batch))
        return loss

    one, two = float(ours().detach()), float(other().detach())
    print(f"{kind}: {n_tokens} tokens; loss here {one:.7f}, TRL {two:.7f}, apart by {abs(one - two):.1e}")
    assert abs(one - two) < 1e-5, "the losses differ"
    timed = [
        seconds(ours, [p for p in made.model.parameters() if p.requires_grad]),
        seconds(other, [p for p in trainer.model.parameters() if p.requires_grad]),
    ]
    found: list[list[float]] = [[], []]
    for number in range(steps + 1):
        for times, step in zip(found, timed, strict=True):
            spent = step()
            if number:  # the first one makes buffers
                times.append(spent)
    here, there = (statistics.median(times) for times in found)
    print(
        f"{kind}: seconds a step here {here:.3f} ({n_tokens / here:.0f} tokens/s), TRL {there:.3f}: "
        f"{there / here:.2f} times as fast"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--words", type=int, default=24)
    parser.add_argument("--out", type=Path, default=Path("runs/alignment-benchmark"))
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    for kind in ("sft", "dpo"):
        compare(kind, asked.steps, asked.words, asked.out)


if __name__ == "__main__":
    main()
