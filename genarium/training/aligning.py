"""What the steps of alignment share: how long they learn, what they leave, and what that says of its origin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from genarium.training import run
from genarium.training.objective import Objective
from genarium.training.options import TrainOptions, Way
from genarium.training.policy import Policy
from genarium.training.settings import Settings


def settings(options: TrainOptions, rates: dict[Way, float], way: Way) -> Settings:
    """Those of a run as asked; `rates` are the peak learning rates of either way."""
    # Batches differ in length, and each length would be compiled anew. Small matrices are not decayed.
    usual = Settings(weight_decay=0.0, beta2=0.999, compile="off")
    asked = replace(options, learning_rate=options.learning_rate or rates[way], steps=options.steps or usual.steps)
    return asked.settings(usual, falls=10)


def paced(settings: Settings, options: TrainOptions, per_epoch: int, epochs: float) -> Settings:
    """With as many steps as `epochs` take, unless a number is asked for: a tenth to warm up, five evaluations."""
    steps = options.steps or max(1, round(per_epoch * epochs))
    every = options.evaluate_every or -(-steps // 5)
    return replace(settings, steps=steps, warmup_steps=steps // 10, evaluate_every=every)


def learn(
    method: str,
    objective: Objective,
    policy: Policy,
    settings: Settings,
    folder: Path,
    *,
    learned_from: dict[str, Any],
    figures: Sequence[str],
    title: str,
    unit: str,
    save: Callable[[], None] | None = None,
    **recipe: Any,
) -> dict[str, Any]:
    """Train, save, and say in `training.json` what was learned from what; gives the figures. Raises what `fit` does."""
    trained = sum(p.numel() for p in objective.model.parameters() if p.requires_grad)
    return run.train(
        method,
        objective,
        settings,
        folder,
        save=save or (lambda: policy.save(folder)),
        figures=("seconds", *figures),
        title=title,
        unit=unit,
        method=method,
        parents=policy.parents,
        learned_from=learned_from,
        trained_weights=trained,
        **recipe,
    ) | {"trained_weights": trained}
