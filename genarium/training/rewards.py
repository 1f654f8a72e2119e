"""What answers are judged by while a model learns: classifiers, reward models, and a few functions, by name.

    starter/sentiment:positive     the probability a classifier gives the label
    FOLDER                         the score of a reward model (`align reward`)
    matches:REGEX                  1 where the answer has a match, else 0
    length:WORDS                   1 at so many words, less by how far from it the answer is, at least 0
    distinct                       the share of the answer's pairs of neighbouring words that are there once

A classifier reads what a person would: of a text that is continued all of it, of a conversation the reply alone.
Several are added up, each with the weight before it: `0.5*length:20`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genarium.data.conversations import Prompt
from genarium.errors import BadInput, GenariumError
from genarium.training.diversity import distinct
from genarium.training.reward_models import Judge, open_model

WEIGHTED = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+))\*(.+)", re.DOTALL)


@dataclass(frozen=True)
class Reward:
    """`name` as it was asked for; `reference`, `digest` and `label` say what it is, whatever it was called."""

    name: str
    judge: Judge
    reference: str
    digest: str = ""
    label: str = ""
    weight: float = 1.0

    @property
    def identity(self) -> dict[str, str]:
        named = {"reference": self.reference, "digest": self.digest, "label": self.label}
        return {key: value for key, value in named.items() if value or key == "reference"}

    def scores(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> np.ndarray:
        """(n,) float64. Raises GenariumError where one is not a number."""
        found = np.asarray(self.judge(prompts, answers), np.float64)
        if not np.isfinite(found).all():
            which = answers[int(np.flatnonzero(~np.isfinite(found))[0])]
            raise GenariumError(
                f"the reward {self.name} gave no number for the answer {which[:80]!r}; a reward that is not finite "
                "teaches nothing: look at that model, or name another"
            )
        return found

    def is_same(self, other: Reward) -> bool:
        """Whether both are one judge, by whatever path or weight they were named."""
        if self.digest or other.digest:
            return (self.digest, self.label) == (other.digest, other.label)
        return self.reference == other.reference


@dataclass(frozen=True)
class Rewards:
    """Several, added up with their weights."""

    parts: tuple[Reward, ...]

    @property
    def identity(self) -> list[dict[str, Any]]:
        """What each is, and what it counts."""
        return [part.identity | {"weight": part.weight} for part in self.parts]

    def scores(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> tuple[np.ndarray, dict[str, float]]:
        """The sum (n,), and the mean of each part by name where there are several."""
        each = [part.scores(prompts, answers) for part in self.parts]
        total = np.sum([part.weight * scores for part, scores in zip(self.parts, each, strict=True)], axis=0)
        if len(each) == 1:
            return total, {}
        return total, {
            f"score {part.name}": float(scores.mean()) for part, scores in zip(self.parts, each, strict=True)
        }


def open_all(names: Sequence[str], gold: str | None, *, device: str) -> tuple[Rewards, Reward | None]:
    """What is learned from, and what only watches. Raises BadInput, also where those are the same."""
    if not names:
        raise BadInput("name a reward to learn from, as in starter/sentiment:positive")
    parts = tuple(open_one(name, device=device) for name in names)
    for place, part in enumerate(parts):
        if any(part.is_same(other) for other in parts[:place]):
            raise BadInput(f"the reward {part.name} is named twice; give it a weight instead, as in 2*{part.reference}")
    watching = None if gold is None else open_one(gold, device=device)
    if watching is not None and (same := next((part for part in parts if watching.is_same(part)), None)):
        raise BadInput(
            f"{gold} is the reward {same.name} itself: what is learned from can't tell whether it is being fooled; "
            "name a judge trained on other data"
        )
    if watching is not None and watching.weight != 1:
        raise BadInput(f"the gold reward is watched alone and takes no weight, got {gold}")
    return Rewards(parts), watching


def open_one(name: str, *, device: str) -> Reward:
    """A reward by its name, with its weight. Raises BadInput, ModelNotFound, BadCheckpoint."""
    weight, bare = 1.0, name
    if weighted := WEIGHTED.fullmatch(name):
        weight, bare = float(weighted[1]), weighted[2]
    if weight == 0:
        raise BadInput(f"{name} counts nothing; give it another weight, or leave it out")
    kind, colon, argument = bare.partition(":")
    if kind in FUNCTIONS and bool(colon) == (kind != "distinct"):
        return Reward(name, FUNCTIONS[kind](argument), bare, weight=weight)
    if kind in FUNCTIONS:
        raise BadInput(f"{bare} is no reward; there are matches:REGEX, length:WORDS, distinct, and models")
    judge, found, label = open_model(bare, device=device)
    return Reward(name, judge, found.reference, found.digest, label, weight)


def _matches(pattern: str) -> Judge:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise BadInput(f"matches:{pattern} is no regular expression: {error}") from None

    def judge(prompts: Sequence[Prompt], answers: Sequence[str]) -> np.ndarray:
        return np.array([compiled.search(answer) is not None for answer in answers], np.float64)

    return judge


def _length(words: str) -> Judge:
    if not words.isdecimal() or not int(words):
        raise BadInput(f"length:{words} must say how many words, as in length:20")
    wanted = int(words)

    def judge(prompts: Sequence[Prompt], answers: Sequence[str]) -> np.ndarray:
        return np.array([max(0.0, 1 - abs(len(answer.split()) - wanted) / wanted) for answer in answers])

    return judge


def _distinct(_: str) -> Judge:
    return lambda prompts, answers: np.array([distinct([answer], 2) for answer in answers])


FUNCTIONS: dict[str, Callable[[str], Judge]] = {"matches": _matches, "length": _length, "distinct": _distinct}
