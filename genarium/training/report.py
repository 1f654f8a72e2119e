"""What a training run leaves beside its weights: its recipe, and the picture of its losses."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genarium.training.objective import Objective
    from genarium.training.settings import Settings


def write_recipe(
    folder: Path, family: str, objective: Objective, settings: Settings, figures: dict[str, Any], **more: Any
) -> None:
    """`training.json`: what was trained, on what, how, and what came of it; `more` is the family's own."""
    recipe = {
        "family": family,
        **more,
        "identity": objective.identity,
        "settings": asdict(settings),
        "figures": figures,
    }
    write_atomically(folder / "training.json", json.dumps(recipe, indent=2).encode() + b"\n")


def plot_losses(log: list[dict[str, Any]], file: Path, *, title: str, unit: str = "nats a token") -> None:
    """Training and validation loss against steps, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    steps = [entry["step"] for entry in log]
    axes.plot(steps, [entry["train_loss"] for entry in log], label="training", marker=".")
    if all("loss" in entry for entry in log):
        axes.plot(steps, [entry["loss"] for entry in log], label="validation", marker=".")
        final = log[-1].get("loss")
        axes.set_title(f"{title}: validation loss {final:.3f} after {steps[-1]:,} steps")
    else:
        axes.set_title(title)
    axes.set_xlabel("optimiser steps")
    axes.set_ylabel(f"loss ({unit})")
    axes.legend()
    axes.grid(alpha=0.3)
    save_figure(figure, file)


def save_figure(figure: Figure, file: Path, *, dpi: int = 120) -> None:
    """As a PNG, whole or not at all."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi)
    write_atomically(file, out.getvalue())
