"""A run from the first step to what it leaves: the checkpoint, its recipe, its figures and their plot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from genarium.progress import emit
from genarium.training import report
from genarium.training.loop import fit
from genarium.training.objective import Objective
from genarium.training.settings import Settings


def train(
    family: str,
    objective: Objective,
    settings: Settings,
    folder: Path,
    *,
    save: Callable[[], None],
    measure: Callable[[], dict[str, Any]] = dict,
    figures: Sequence[str],
    title: str,
    unit: str,
    **recipe: Any,
) -> dict[str, Any]:
    """Train into `folder`, and give the figures: of the last evaluation those named, then what `measure` finds.

    `measure` and `save` are called when the networks are trained; `title` and `unit` are the plot's, and `recipe` is
    what `training.json` says beside settings and figures. Raises what `fit` raises.
    """
    log = fit(objective, settings, folder)
    for model in objective.models.values():
        model.eval()
    found: dict[str, Any] = {name: log[-1][name] for name in figures if name in log[-1]}
    found |= measure()
    emit("saving")
    save()
    report.write_recipe(folder, family, objective, settings, found, **recipe)
    report.plot_losses(log, folder / "loss.png", title=title, unit=unit)
    return found | {"folder": str(folder)}
