"""The reward model: a score that is higher for the answer which people prefer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.errors import GenariumError
from genarium.models.scorer import Scorer
from genarium.training.calibration import calibration_error
from genarium.training.objective import Objective
from genarium.training.sources.inputs import Batches
from genarium.training.sources.rankings import Rankings


def ranking_loss(scores: Tensor, compared: Tensor, weights: Tensor) -> Tensor:
    """Eq. 1 of Ouyang et al. 2022 (arXiv:2203.02155), a scalar:

    - 1 / (K choose 2) sum over the pairs of a prompt of log s(r(x, y_w) - r(x, y_l)), averaged over the prompts,
    for scores (N,), the rows of each y_w and y_l (2, P), and weights (P,) that hold the two averages.
    """
    better, other = scores[compared[0]], scores[compared[1]]
    return -(weights * F.logsigmoid(better - other)).sum()


class Reward(Objective):
    """All answers of a prompt in one step: each is read once, and they do not overfit as shuffled pairs would."""

    def __init__(
        self,
        model: Scorer,
        train: Rankings,
        validation: Rankings,
        *,
        batch_size: int,
        seed: int,
        identity: dict[str, Any],
    ):
        self.model: Scorer = model
        self.train, self.validation = train, validation
        self.batches = Batches(train.lengths, batch_size, seed)
        self.identity = identity | {
            "data": {"learned": train.digest(), "watched": validation.digest()},
            "batch_size": batch_size,
        }

    def batch(self, index: int) -> tuple[Tensor, ...]:
        return self.train.block(self.batches.rows(index))

    def loss(self, tokens: Tensor, lengths: Tensor, compared: Tensor, weights: Tensor) -> Tensor:
        return ranking_loss(self.model(tokens, lengths).float(), compared, weights)

    def evaluate(self) -> dict[str, float]:
        """Of the pairs that are watched: `loss`, `accuracy` (0.5 for equal scores), the expected `calibration_error`,
        and mean and deviation of the scores. Raises GenariumError where all scores are one number."""
        watched = self.validation if len(self.validation) else self.train
        scores = self.scores(watched)
        self._require_scores(torch.cat(scores))
        if not len(self.validation):
            return {}
        margins = margins_of(scores, watched)
        weights = torch.cat([torch.full((len(p),), 1 / len(p) / len(watched)) for p in watched.pairs])
        every = torch.cat(scores)
        return {
            "loss": float(-(weights * F.logsigmoid(margins)).sum()),
            "accuracy": float(((margins > 0) + 0.5 * (margins == 0)).double().mean()),
            "calibration_error": calibration_error(margins),
            "margin": float(margins.mean()),
            "score_mean": float(every.mean()),
            "score_deviation": float(every.std()),
        }

    def preview(self, step: int) -> str:
        return ""

    @torch.inference_mode()
    def scores(self, rankings: Rankings) -> list[Tensor]:
        """Of every answer, by ranking."""
        found: list[Tensor] = [torch.empty(0)] * len(rankings)
        order = sorted(range(len(rankings)), key=rankings.lengths.__getitem__)
        device = next(self.model.parameters()).device
        for first in range(0, len(order), 8):
            places = order[first : first + 8]
            tokens, lengths, *_ = (part.to(device) for part in rankings.block(places))
            scores = self.model(tokens, lengths).float().cpu()
            for place, part in zip(places, scores.split([len(rankings.ids[p]) for p in places]), strict=True):
                found[place] = part
        return found

    @staticmethod
    def _require_scores(scores: Tensor) -> None:
        if not torch.isfinite(scores).all():
            raise GenariumError("a score is no number; start again with a smaller learning rate, in another folder")
        if len(scores) > 1 and float(scores.max() - scores.min()) == 0.0:
            raise GenariumError(
                "every answer has the same score, so nothing can be learned from this reward; look at the data, or "
                "start again with a smaller learning rate, in another folder"
            )


def margins_of(scores: Sequence[Tensor], rankings: Rankings) -> Tensor:
    """r(x, y_w) - r(x, y_l) of every pair, (pairs,)."""
    return torch.stack(
        [one[better] - one[other] for one, pairs in zip(scores, rankings.pairs, strict=True) for better, other in pairs]
    )
