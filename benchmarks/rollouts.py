"""`align grpo` beside TRL's GRPOTrainer: CPU seconds a step, and the loss of the same answers.

    PYTHONPATH=.:PEERS OMP_NUM_THREADS=1 python benchmarks/rollouts.py FOLDER [steps]

FOLDER is a small decoder in transformers' layout (`genarium/starters/text`); PEERS has trl, datasets and accelerate.
Both train every weight with AdamW in float32, 4 prompts of 8 answers of 24 tokens a step, β = 0.04, and a reward that
costs nothing. TRL's batches are given to our loss as well: the numbers must agree.

The limit before anything was optimised, of starter/text with its 7.8 million weights: 768 tokens drawn one column after
another, 2 operations a weight each, 12 GFLOP; 1,000 tokens of prompts and answers read by the reference, 16 GFLOP, and
learned from, 47 GFLOP: 75 GFLOP together, 1.2 s at the 60 GFLOP/s that a core multiplies float32 with in AVX2.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from genarium.data.conversations import Prompt
from genarium.progress import Event, listening
from genarium.training import policy
from genarium.training.loop import fit
from genarium.training.objective import Batch, Compute
from genarium.training.objectives.grpo import GRPO, GRPOSettings
from genarium.training.objectives.on_policy import Lesson
from genarium.training.rewards import Reward, Rewards
from genarium.training.rollouts import Rollouts
from genarium.training.settings import Settings

PROMPTS = [f"{who} {what}" for who in ("The old man", "A fox", "Her mother", "The king") for what in ("was", "said to")]
ANSWERS, GROUP, TOKENS, BETA, RATE = 32, 8, 24, 0.04, 1e-4


def vowels(answers: list[str]) -> list[float]:
    """The share of an answer's characters that are vowels."""
    return [sum(c in "aeiou" for c in answer) / max(1, len(answer)) for answer in answers]


def ours(folder: str) -> GRPO:
    import numpy as np

    def judge(prompts: Any, answers: Any) -> Any:
        return np.array(vowels(list(answers)))

    asked: list[Prompt] = list(PROMPTS)
    lesson = Lesson(asked, asked[:2], Rewards((Reward("vowels", judge, "vowels"),)), None, 4, TOKENS, 1.0, 0.0, 0)
    begun = policy.load(folder, way="full", keep_reference=True)
    settings = GRPOSettings(group=GROUP, kl_coefficient=BETA, at_once=ANSWERS)
    return GRPO(begun, lesson, Path(tempfile.mkdtemp()), {}, settings=settings)


def settings(steps: int) -> Settings:
    return Settings(
        steps=steps,
        learning_rate=RATE,
        min_learning_rate=RATE,
        warmup_steps=0,
        weight_decay=0.0,
        evaluate_every=10**6,
        compile="off",
    )


def our_seconds(folder: str, steps: int) -> list[float]:
    """CPU seconds of each step but the first."""
    ends: list[float] = []

    def hear(event: Event) -> None:
        if event.stage == "training":
            ends.append(time.process_time())

    objective = ours(folder)
    with listening(hear):
        fit(objective, settings(steps), objective.folder)
    return [end - begin for begin, end in itertools.pairwise(ends)]


def their_seconds(folder: str, steps: int) -> tuple[list[float], list[tuple[dict[str, Any], float, dict[str, Any]]]]:
    """CPU seconds of each step but the first; and of each step its inputs, its loss and the weights before it."""
    from datasets import Dataset
    from datasets.table import InMemoryTable
    from transformers import AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    kept: list[tuple[dict[str, Any], float, dict[str, Any]]] = []

    class Kept(GRPOTrainer):  # type: ignore[misc]
        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
            loss = super()._compute_loss(model, inputs)
            if len(kept) < 2:
                kept.append((inputs, float(loss), {k: v.clone() for k, v in model.state_dict().items()}))
            return loss

    ends: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.process_time())

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.eos_token
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=ANSWERS,
        num_generations=GROUP,
        max_completion_length=TOKENS,
        beta=BETA,
        loss_type="grpo",
        learning_rate=RATE,
        lr_scheduler_type="constant",
        max_steps=steps,
        max_grad_norm=1.0,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
        seed=0,
    )
    trainer = Kept(
        model=folder,
        reward_funcs=lambda completions, **_: vowels(completions),
        args=config,
        train_dataset=Dataset(InMemoryTable.from_pydict({"prompt": PROMPTS}), fingerprint="prompts"),
        processing_class=tokenizer,
        callbacks=[Clock()],
    )
    trainer.train()
    return [end - begin for begin, end in itertools.pairwise(ends)], kept


def differences(folder: str, kept: list[tuple[dict[str, Any], float, dict[str, Any]]]) -> list[tuple[float, float]]:
    """Their loss of a step's answers, and ours of the same answers by the same weights."""
    from transformers import AutoModelForCausalLM

    from genarium.checkpoints.layouts import gpt

    found = []
    for inputs, loss, weights in kept:
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        theirs.load_state_dict(weights)
        place = Path(tempfile.mkdtemp())
        theirs.save_pretrained(place)
        objective = ours(folder)
        objective.policy.model.load_state_dict(gpt.load(place).state_dict())

        prompts, answers = (_ids(inputs, name) for name in ("prompt", "completion"))
        rollouts = Rollouts(prompts, answers, torch.zeros(len(answers), dtype=torch.bool))
        batch = Batch(0, objective.batch, Compute(settings(1), objective.models))
        _, reference = objective._before(rollouts)
        told = objective.learn(rollouts, inputs["advantages"].float(), None, reference, batch)
        found.append((loss, told["loss"]))
    return found


def _ids(inputs: dict[str, Any], name: str) -> list[list[int]]:
    """Their rows without padding."""
    rows, masks = inputs[f"{name}_ids"], inputs[f"{name}_mask"]
    return [row[mask.bool()].tolist() for row, mask in zip(rows, masks, strict=True)]


def main() -> None:
    folder, steps = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 6
    theirs, kept = their_seconds(folder, steps)
    own = our_seconds(folder, steps)
    middle = {"ours": sorted(own)[len(own) // 2], "trl": sorted(theirs)[len(theirs) // 2]}
    print(json.dumps({"cpu seconds a step": middle, "ratio": middle["trl"] / middle["ours"]}))
    print(json.dumps({"loss of the same answers, trl's and ours": differences(folder, kept)}))


if __name__ == "__main__":
    main()
