"""A run that learns from rewards, from the first step to what it leaves: weights, recipe, plots and a report."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from genarium.progress import note
from genarium.training import aligning, alignment_report
from genarium.training.objectives.on_policy import OnPolicy
from genarium.training.settings import Settings


def learn(method: str, objective: OnPolicy, settings: Settings, folder: Path, **recipe: Any) -> dict[str, Any]:
    """Train, keep the weights that gold scored highest where there is one, and report. Gives the figures."""
    figures = aligning.learn(
        method,
        objective,
        objective.policy,
        settings,
        folder,
        figures=(),
        measure=partial(_measure, objective, settings),
        title=f"{method.upper()} on {recipe['learned_from']['name']}",
        unit=f"{method.upper()}'s own",
        **recipe,
    )
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    alignment_report.write(folder, log, objective, figures)
    return figures


def _measure(objective: OnPolicy, settings: Settings) -> dict[str, Any]:
    """The held-out figures of the weights that are kept, beside the reference's."""
    kept = objective.take_best()
    if kept is None:
        note("no gold reward was named, so the last weights are kept, whatever the reward has been fooled by")
    step = settings.steps if kept is None else kept
    before = {f"reference_{name}": value for name, value in objective.reference.figures().items()}
    return {"kept_step": step} | objective.held_figures() | before
