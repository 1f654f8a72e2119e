"""The reward model: a score that is higher for the answer which people prefer."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.checkpoints.processors.answers import Answers
from genarium.errors import GenariumError, excerpt
from genarium.models.scorer import Scorer
from genarium.training.calibration import calibration_error, in_order
from genarium.training.objective import Objective
from genarium.training.sources.inputs import Batches, by_length, padded
from genarium.training.sources.rankings import Rankings, ScoredTexts

MOST_COMPARED = 500
"""Scored answers of which every two are compared, to measure."""


def ranking_loss(scores: Tensor, compared: Tensor, weights: Tensor) -> Tensor:
    """Eq. 1 of Ouyang et al. 2022 (arXiv:2203.02155), a scalar:

    - 1 / (K choose 2) sum over the pairs of a prompt of log s(r(x, y_w) - r(x, y_l)), averaged over the prompts,
    for scores (N,), the rows of each y_w and y_l (2, P), and weights (P,) that hold the two averages.
    """
    better, other = scores[compared[0]], scores[compared[1]]
    return -(weights * F.logsigmoid(better - other)).sum()


def score_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of s(r(x, y)) and how good people find the answer, from 0 to 1; both (B,).

    Where an answer stands alone. The difference of two scores is then the log of an odds, as in eq. 1.
    """
    return F.binary_cross_entropy_with_logits(scores, targets)


class Reward(Objective):
    """What both ways to learn a score share; `train` and `validation` are of the same kind."""

    def __init__(
        self,
        model: Scorer,
        train: Rankings | ScoredTexts,
        validation: Rankings | ScoredTexts,
        *,
        answers: Answers,
        batch_size: int,
        seed: int,
        identity: dict[str, Any],
    ):
        self.model: Scorer = model
        self.train, self.validation, self.answers = train, validation, answers
        self.watched: Any = validation if len(validation) else train
        """What is measured: what is learned, where nothing is kept out."""
        self.batches = Batches(train.lengths, batch_size, seed)
        self.identity = identity | {
            "data": {"learned": train.digest(), "watched": validation.digest()},
            "batch_size": batch_size,
        }

    @abstractmethod
    def margins(self, scores: Tensor) -> Tensor:
        """r(x, y_w) - r(x, y_l) of every pair that is watched, from the scores of its texts in their order."""

    @abstractmethod
    def mean_loss(self, scores: Tensor) -> Tensor:
        """The loss over all that is watched, from the same."""

    def batch(self, index: int) -> tuple[Tensor, ...]:
        return self.train.block(self.batches.rows(index))

    def evaluate(self) -> dict[str, float]:
        """Of the pairs that are watched: `loss`, `accuracy` (0.5 for equal scores), the expected `calibration_error`,
        and mean and deviation of the scores. Raises GenariumError where all scores are one number."""
        scores = self.scores()
        _require_scores(scores)
        if not len(self.validation):
            return {}
        margins = self.margins(scores)
        return {
            "loss": float(self.mean_loss(scores)),
            "accuracy": float(in_order(margins).mean()),
            "calibration_error": calibration_error(margins),
            "margin": float(margins.mean()),
            "score_mean": float(scores.mean()),
            "score_deviation": float(scores.std()),
        }

    def preview(self, step: int) -> str:
        """A text that is watched, and its score."""
        texts = list(self.watched.texts)
        text = texts[step % len(texts)]
        score = float(self._of([text])[0])
        return f"{excerpt(self.answers.tokenizer.decode(text), 100)} -> {score:.2f}"

    @torch.inference_mode()
    def scores(self) -> Tensor:
        """Of every text that is watched, in order."""
        texts = list(self.watched.texts)
        found = torch.zeros(len(texts))
        for places in by_length(list(map(len, texts)), 32):
            found[places] = self._of([texts[place] for place in places])
        return found

    def _of(self, texts: list[list[int]]) -> Tensor:
        device = next(self.model.parameters()).device
        tokens, lengths = (part.to(device) for part in padded(texts))
        return self.model(tokens, lengths).float().cpu()


class RankedReward(Reward):
    """All answers of a prompt in one step: each is read once, and they do not overfit as shuffled pairs would."""

    def loss(self, tokens: Tensor, lengths: Tensor, compared: Tensor, weights: Tensor) -> Tensor:
        return ranking_loss(self.model(tokens, lengths).float(), compared, weights)

    def margins(self, scores: Tensor) -> Tensor:
        *_, compared, _ = self.watched.block(range(len(self.watched)))
        return scores[compared[0]] - scores[compared[1]]

    def mean_loss(self, scores: Tensor) -> Tensor:
        *_, compared, weights = self.watched.block(range(len(self.watched)))
        return ranking_loss(scores, compared, weights)


class ScoredReward(Reward):
    """Each answer by its own score, where most prompts have but one."""

    def loss(self, tokens: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        return score_loss(self.model(tokens, lengths).float(), targets)

    def margins(self, scores: Tensor) -> Tensor:
        few = scores[:MOST_COMPARED]
        targets = torch.tensor(self.watched.targets[:MOST_COMPARED])
        better, other = (targets[:, None] > targets[None, :]).nonzero().T
        return few[better] - few[other]

    def mean_loss(self, scores: Tensor) -> Tensor:
        return score_loss(scores, torch.tensor(self.watched.targets))


def _require_scores(scores: Tensor) -> None:
    if not torch.isfinite(scores).all():
        raise GenariumError("a score is no number; start again with a smaller learning rate, in another folder")
    if len(scores) > 1 and float(scores.max() - scores.min()) == 0.0:
        raise GenariumError(
            "every answer has the same score, so nothing can be learned from this reward; look at the data, or "
            "start again with a smaller learning rate, in another folder"
        )
