"""Fine-tuning an encoder: one run, or several that are averaged; what came of it is measured and written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.layouts.encoder_config import label_names
from genarium.checkpoints.processors import tokenizer
from genarium.checkpoints.store import adapters, find
from genarium.checkpoints.store.folder import copy_tokenizer, read_config
from genarium.progress import emit
from genarium.training import report, start
from genarium.training.adapters import average, save_adapter
from genarium.training.loop import fit
from genarium.training.settings import Settings
from genarium.training.sources import examples

FIGURES = ("loss", "accuracy", "f1", "exact_match", "mrr")
MAX_LENGTHS = {"classify": 256, "rank": 256, "answer": 384}


@dataclass(frozen=True)
class Lesson:
    """What is learned: a task from examples, over the encoder in `base`, in one of the ways."""

    task: Literal["classify", "answer", "rank"]
    parts: examples.Parts
    labels: list[str]
    found: find.Found
    base: Path
    way: start.Way
    adapters: dict[str, Any]
    pool: Literal["first", "mean"]
    max_length: int | None
    batch_size: int
    consistency: float

    def begin(self, settings: Settings, seed: int) -> tuple[Any, Callable[[], dict[str, float]]]:
        """The objective of a run whose batches are `seed`'s, and what measures the part held out."""
        torch.manual_seed(settings.seed)  # every run begins with the same weights; `fit` draws the rest from its own
        answers = self.task == "answer"
        model: Any = (
            start.question_answering(self.base) if answers else start.classifier(self.base, self.labels, pool=self.pool)
        )
        start.choose_trained(model, self.way, **self.adapters)
        return examples.objective(
            self.task,
            model.to(settings.device),
            tokenizer.load(self.base),
            self.parts,
            self.labels,
            max_length=min(self.max_length or MAX_LENGTHS[self.task], model.config.context_length),
            batch_size=self.batch_size,
            seed=seed,
            **({"consistency": self.consistency} if self.consistency else {}),
            identity={
                "task": self.task,
                "way": self.way,
                "base": self.found.digest,
                "network": asdict(model.config),
                "head": None if answers else asdict(model.head),
                "adapters": self.adapters if self.way == "lora" else None,
            },
        )

    def save(self, model: Any, folder: Path) -> None:
        """The adapter, or the whole checkpoint with its tokenizer."""
        raw = read_config(self.base)
        named = {} if self.task == "answer" else label_names(self.labels or ["LABEL_0"])
        if self.way != "full":
            save_adapter(model, folder, base=self.found.reference, base_path=self.base, config=raw | named)
            return
        layout.save(model, folder, layout=raw["model_type"], extra=named)
        copy_tokenizer(find.base_of(self.base) if adapters.is_adapter(self.base) else self.base, folder)


def learn(
    lesson: Lesson, settings: Settings, folder: Path, *, epochs: float, runs: int, holdout: Path | None, title: str
) -> tuple[Any, Settings, dict[str, Any]]:
    """Learn `runs` times; the objective with the average of what was learned, its settings, and the figures."""
    learned = []
    for run in range(runs):
        objective, measure = lesson.begin(settings, settings.seed + run)
        steps = max(1, round(objective.batches.per_epoch * epochs))
        paced = replace(
            settings,
            steps=steps,
            warmup_steps=steps // 16,
            evaluate_every=max(objective.batches.per_epoch, -(-steps // 5)),
            seed=settings.seed + run,
        )
        place = folder if runs == 1 else folder / f"run-{run}"
        log = fit(objective, paced, place)
        report.plot_losses(log, place / "loss.png", title=title, unit="nats an example")
        learned.append(objective.model)
    if runs > 1:
        objective.model = average(learned)
    objective.model.eval()
    figures: dict[str, Any] = {name: value for name, value in log[-1].items() if name in FIGURES}
    with torch.inference_mode():
        if runs > 1:
            figures = objective.evaluate()
        if holdout is not None:
            emit("measuring", preview=holdout.name)
            figures |= {f"{name} on {holdout.name}": value for name, value in measure().items()}
    return objective, replace(paced, seed=settings.seed), figures
