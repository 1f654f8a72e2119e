"""Answers as they are read and judged, and what is said of many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genarium.data.conversations import Prompt
from genarium.messages import transcript
from genarium.training.diversity import distinct, self_bleu
from genarium.training.rollouts import Rollouts


@dataclass(frozen=True)
class Answered:
    """Answers to held-out prompts, what each is worth to the rewards and to the gold one (NaN without), each (n,)."""

    rollouts: Rollouts
    answers: list[str]
    scores: np.ndarray
    gold: np.ndarray

    def figures(self) -> dict[str, float]:
        """What is the same to be said of the policy's and of the reference's."""
        found = {
            "score": float(self.scores.mean()),
            "gold": float(self.gold.mean()),
            "length": float(self.rollouts.lengths.mean()),
            "ended": float(self.rollouts.ended.float().mean()),
            "distinct_2": distinct(self.answers, 2),
            "self_bleu": self_bleu(self.answers),
        }
        return {name: value for name, value in found.items() if not math.isnan(value)}


def texts(tokenizer: Any, rollouts: Rollouts) -> list[str]:
    """The answers as they are read, without their ends."""
    each = zip(rollouts.prompts, rollouts.answers, rollouts.ended.tolist(), strict=True)
    return [_after(tokenizer, prompt, answer[:-1] if ended else answer) for prompt, answer, ended in each]


def win_rate(scores: np.ndarray, others: np.ndarray) -> float:
    """Share of prompts whose answer scores higher than the other's, equal ones counted half."""
    return float((scores > others).mean() + 0.5 * (scores == others).mean())


def _after(tokenizer: Any, prompt: Sequence[int], answer: Sequence[int]) -> str:
    """The text of an answer as it stands after its prompt, its first space with it."""
    before = tokenizer.decode(list(prompt), skip_special_tokens=True)
    whole: str = tokenizer.decode([*prompt, *answer], skip_special_tokens=True)
    return whole[len(before) :] if whole.startswith(before) else str(tokenizer.decode(list(answer)))


def shown(prompt: Prompt) -> str:
    """A prompt as a person reads it."""
    return prompt if isinstance(prompt, str) else transcript(prompt)
