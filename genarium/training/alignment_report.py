"""What a run against a reward leaves to be read: its course, whether the reward was fooled, answers side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genarium.files import write_atomically
from genarium.training.objectives.answered import shown
from genarium.training.report import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from genarium.training.objectives.on_policy import OnPolicy

COURSE = "course.png"
OVEROPTIMISATION = "overoptimisation.png"
REPORT = "report.md"
PARTED = 5
"""Answers on which the reward and gold part most that are shown."""
PANELS: Sequence[tuple[str, Sequence[str]]] = (
    ("score", ("score", "held_score", "held_gold")),
    ("KL to the reference, nats an answer", ("kl", "held_kl")),
    ("entropy, nats a token", ("entropy",)),
    ("share", ("clip_fraction", "ended", "held_ended", "flat_groups")),
    ("value head", ("value_loss", "explained_variance")),
    ("length, tokens", ("length", "held_length")),
)
Log = Sequence[dict[str, Any]]


def write(folder: Path, log: Log, objective: OnPolicy, figures: dict[str, Any]) -> None:
    """`report.md` with its plots, in the run's folder."""
    _plot_course(log, folder / COURSE)
    _plot_overoptimisation(log, objective, int(figures["kept_step"]), folder / OVEROPTIMISATION)
    write_atomically(folder / REPORT, _report(objective, figures).encode())


def _plot_course(log: Log, file: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6.5), layout="constrained")
    for place, (title, names) in enumerate(PANELS, 1):
        axes = figure.add_subplot(2, 3, place)
        for name in names:
            points = [(entry["step"], entry[name]) for entry in log if name in entry]
            if points:
                axes.plot(*zip(*points, strict=True), marker=".", label=name.replace("_", " "))
        axes.set_title(title)
        axes.set_xlabel("steps")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="small")
    save_figure(figure, file, dpi=110)


def _plot_overoptimisation(log: Log, objective: OnPolicy, kept: int, file: Path) -> None:
    """Reward and gold over √KL, as in Gao et al. 2022 (arXiv:2210.10760), figure 1; each in its own unit."""
    from matplotlib.figure import Figure

    before = objective.reference.figures()
    roots = [0.0, *(math.sqrt(max(0.0, entry["held_kl"])) for entry in log)]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    proxy = [before["score"], *(entry["held_score"] for entry in log)]
    axes.plot(roots, proxy, marker=".", color="tab:blue", label="reward, learned from")
    axes.set_ylabel("reward")
    axes.set_xlabel("√KL(policy ‖ reference), √nats an answer")
    axes.grid(alpha=0.3)
    lines = list(axes.lines)
    if "gold" in before:
        lines += _gold(axes.twinx(), roots, [before["gold"], *(entry["held_gold"] for entry in log)])
        at = next((math.sqrt(max(0.0, entry["held_kl"])) for entry in log if entry["step"] == kept), None)
        if at is not None:
            lines.append(axes.axvline(at, color="gray", linestyle="--", label=f"kept: step {kept}"))
    axes.legend(handles=lines, fontsize="small")
    save_figure(figure, file, dpi=110)


def _gold(axes: Axes, roots: Sequence[float], gold: Sequence[float]) -> list[Any]:
    axes.plot(roots, gold, marker=".", color="tab:orange", label="gold, only watched")
    axes.set_ylabel("gold")
    return list(axes.lines)


def _report(objective: OnPolicy, figures: dict[str, Any]) -> str:
    lesson, before, now = objective.lesson, objective.reference, objective.latest
    names = [name for name in before.figures() if f"held_{name}" in figures]
    rows = [f"| {name} | {before.figures()[name]:.4f} | {figures[f'held_{name}']:.4f} |" for name in names]
    rewards = ", ".join(f"`{part.name}`" for part in lesson.rewards.parts)
    gold = f"`{lesson.gold.name}`" if lesson.gold else "none"
    kept = f"step {figures['kept_step']}, " + (
        "where gold was highest" if lesson.gold else "the last: there is no gold"
    )
    parts = [
        "# What was learned",
        f"Reward: {rewards}. Gold, which nothing was learned from: {gold}. Kept: {kept}.",
        f"On {len(before.answers)} held-out prompts, answered with the same random numbers before and after:",
        "\n".join(["| | reference | kept |", "|---|---|---|", *rows]),
        _distances(figures),
        f"![the run's course]({COURSE})",
        f"![reward and gold over the distance]({OVEROPTIMISATION})",
        "## Side by side",
        *(_side_by_side(objective, place) for place in range(min(8, len(before.answers)))),
    ]
    if lesson.gold is not None:
        parted = _parted(now.scores, now.gold)
        parts += [
            "## Where reward and gold part most",
            "Answers that the reward places much higher among all than gold does, furthest first.",
            *(_parting(objective, place) for place in parted),
        ]
    return "\n\n".join(parts) + "\n"


def _distances(figures: dict[str, Any]) -> str:
    said = f"KL to the reference: {figures['held_kl']:.2f} nats an answer. "
    said += f"Wins over the reference by the reward: {figures['held_win_rate']:.1%}"
    gold = figures.get("held_gold_win_rate")
    return said + (f"; by gold: {gold:.1%}." if gold is not None else ".")


def _side_by_side(objective: OnPolicy, place: int) -> str:
    before, now = objective.reference, objective.latest

    def said(answered: Any) -> str:
        judged = f"{answered.scores[place]:.3f}"
        if objective.lesson.gold is not None:
            judged += f", gold {answered.gold[place]:.3f}"
        return f"({judged}) {answered.answers[place]!r}"

    return f"**{shown(objective.lesson.held[place])!r}**\n\n- reference {said(before)}\n- kept {said(now)}"


def _parted(scores: np.ndarray, gold: np.ndarray) -> list[int]:
    """Places of the answers whose standing by the reward is furthest above that by gold."""

    def standing(values: np.ndarray) -> np.ndarray:
        spread = values.std()
        return (values - values.mean()) / spread if spread else np.zeros(len(values))

    return [int(place) for place in np.argsort(standing(gold) - standing(scores), kind="stable")[:PARTED]]


def _parting(objective: OnPolicy, place: int) -> str:
    now = objective.latest
    judged = f"reward {now.scores[place]:.3f}, gold {now.gold[place]:.3f}"
    return f"- {judged}: **{shown(objective.lesson.held[place])!r}** {now.answers[place]!r}"
