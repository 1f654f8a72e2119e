"""Choices that are the same on every machine and Python version."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Dice:
    """Made from whole numbers alone; only `random()`, whose stream Python promises to keep, is drawn from."""

    def __init__(self, *numbers: int):
        mixed = 0
        for number in numbers:
            mixed = (mixed ^ number) * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019 & (1 << 128) - 1
        self._random = random.Random(mixed).random

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def below(self, end: int) -> int:
        """A whole number from 0 to end - 1."""
        return int(self._random() * end)

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self._random() * len(items))]

    def uniform(self) -> float:
        return self._random()
