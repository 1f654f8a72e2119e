"""What blind comparisons came to, model against model."""

from __future__ import annotations

from dataclasses import dataclass

from genarium.comparison.win_rate import WinRate
from genarium.ledger import Ledger
from genarium.ledger.comparisons import Comparison, judged
from genarium.recipe import Model


@dataclass(frozen=True)
class Tally:
    """How often `model` was found better than `other`, over all prompts of a task."""

    task: str
    model: Model
    other: Model
    win_rate: WinRate


def tallies(ledger: Ledger) -> list[Tally]:
    """Of each two models that were compared, the one that is better first; the pair compared last comes first."""
    counted: dict[tuple[str, Model, Model], list[int]] = {}
    for comparison in judged(ledger):
        if (pair := _models(comparison)) is None:
            continue
        one, two = sorted(pair, key=lambda model: (model.reference, model.digest))
        key = (comparison.left.recipe.task, one, two)
        counts = counted.pop(key, [0, 0, 0])  # to the end: it was judged last
        won = None if comparison.verdict == "equal" else pair[0 if comparison.verdict == "left" else 1]
        counts[0 if won == one else 1 if won is None else 2] += 1
        counted[key] = counts
    found = [Tally(task, one, two, WinRate(*counts)) for (task, one, two), counts in counted.items()]
    return [_better_first(tally) for tally in reversed(found)]


def _models(comparison: Comparison) -> tuple[Model, Model] | None:
    """The models of both sides; None where they are the same, or a side has none."""
    left, right = (side.recipe.model for side in comparison.sides)
    return None if left is None or right is None or left == right else (left, right)


def _better_first(tally: Tally) -> Tally:
    if tally.win_rate.rate >= 0.5:
        return tally
    return Tally(tally.task, tally.other, tally.model, tally.win_rate.of_the_other)
