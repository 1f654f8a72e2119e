"""Learning to classify: cross-entropy over labels; and to rank: whether a passage is what a query looks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.data.labelled import LabelledText, Pair
from genarium.errors import excerpt
from genarium.models.encoder import TextClassifier
from genarium.training.objective import Objective
from genarium.training.sources.inputs import Batches, Inputs, digest_of, outputs


class Classify(Objective):
    """Cross-entropy of the right label (BERT, arXiv:1810.04805, section 4.1).

    With `consistency` each batch is read twice, under two draws of dropout, and the two answers are drawn together:
    R-Drop (Liang et al. 2021, arXiv:2106.14448, eq. 4) with `consistency` for its alpha.
    """

    def __init__(
        self,
        model: TextClassifier,
        labels: Sequence[str],
        train: tuple[list[LabelledText], Inputs],
        validation: tuple[list[LabelledText], Inputs],
        *,
        batch_size: int,
        seed: int,
        identity: dict[str, Any],
        consistency: float = 0.0,
    ):
        self.model = model
        self.consistency = consistency
        self.labels = list(labels)
        self.inputs = train[1]
        self.targets = [self.labels.index(example.label) for example in train[0]]
        self.validation, self.validation_inputs = validation
        self.batches = Batches(self.inputs.lengths, batch_size, seed)
        self.n_examples = len(self.inputs)
        self.identity: dict[str, Any] = identity | {
            "data": {
                "inputs": self.inputs.digest(),
                "labels": self.labels,
                "targets": digest_of(self.targets),
                "watched": self.validation_inputs.digest(),
                "watched_targets": digest_of([example.label for example in self.validation]),
            },
            "batch_size": batch_size,
        }
        if consistency:
            self.identity["consistency"] = consistency

    def batch(self, index: int) -> tuple[Tensor, ...]:
        rows = self.batches.rows(index)
        return *self.inputs.block(rows), torch.tensor([self.targets[row] for row in rows])

    def loss(self, tokens: Tensor, lengths: Tensor, types: Tensor, targets: Tensor) -> Tensor:
        first = self.model(tokens, lengths=lengths, types=types).float()
        if not self.consistency:
            return F.cross_entropy(first, targets)
        second = self.model(tokens, lengths=lengths, types=types).float()
        right = (F.cross_entropy(first, targets) + F.cross_entropy(second, targets)) / 2
        return right + self.consistency * divergence(first, second)

    def evaluate(self) -> dict[str, float]:
        return self.measure(self.validation, self.validation_inputs)

    def measure(self, examples: Sequence[LabelledText], inputs: Inputs) -> dict[str, float]:
        """Loss, accuracy and F1 (of the last label where there are two, else the mean over labels)."""
        if not examples:
            return {}
        targets = torch.tensor([self.labels.index(example.label) for example in examples])
        scores = self._scores(inputs)
        found = scores.argmax(-1)
        each = [f1(found == label, targets == label) for label in range(len(self.labels))]
        return {
            "loss": float(F.cross_entropy(scores, targets)),
            "accuracy": float((found == targets).float().mean()),
            "f1": each[1] if len(each) == 2 else sum(each) / len(each),
        }

    def preview(self, step: int) -> str:
        if not self.validation:
            return ""
        place = step % len(self.validation)
        one = Inputs([self.validation_inputs.ids[place]], [self.validation_inputs.types[place]])
        shares = self._scores(one)[0].softmax(-1)
        example, best = self.validation[place], int(shares.argmax())
        verdict = "right" if self.labels[best] == example.label else f"wrong, it is {example.label}"
        return f"{excerpt(example.text)} -> {self.labels[best]} {float(shares[best]):.2f} ({verdict})"

    def _scores(self, inputs: Inputs) -> Tensor:
        scores = torch.zeros(len(inputs), len(self.labels))
        for places, out in outputs(self.model, inputs):
            scores[places] = out
        return scores


class Rank(Objective):
    """A cross-encoder with one output: cross-entropy of whether the passage fits (Nogueira and Cho 2019,
    arXiv:1901.04085)."""

    def __init__(
        self,
        model: TextClassifier,
        train: tuple[list[Pair], Inputs],
        validation: tuple[list[Pair], Inputs],
        *,
        batch_size: int,
        seed: int,
        identity: dict[str, Any],
    ):
        self.model = model
        self.inputs = train[1]
        self.targets = [pair.label for pair in train[0]]
        self.validation, self.validation_inputs = validation
        self.batches = Batches(self.inputs.lengths, batch_size, seed)
        self.n_examples = len(self.inputs)
        self.identity: dict[str, Any] = identity | {
            "data": {
                "inputs": self.inputs.digest(),
                "targets": digest_of(self.targets),
                "watched": self.validation_inputs.digest(),
                "watched_targets": digest_of([(pair.query, pair.label) for pair in self.validation]),
            },
            "batch_size": batch_size,
        }

    def batch(self, index: int) -> tuple[Tensor, ...]:
        rows = self.batches.rows(index)
        return *self.inputs.block(rows), torch.tensor([self.targets[row] for row in rows])

    def loss(self, tokens: Tensor, lengths: Tensor, types: Tensor, targets: Tensor) -> Tensor:
        scores = self.model(tokens, lengths=lengths, types=types).float().squeeze(-1)
        return F.binary_cross_entropy_with_logits(scores, targets)

    def evaluate(self) -> dict[str, float]:
        return self.measure(self.validation, self.validation_inputs)

    def measure(self, pairs: Sequence[Pair], inputs: Inputs) -> dict[str, float]:
        """Loss, accuracy and `mrr`: 1 / the first good passage's place, the mean over queries that have both kinds.

        Of passages with equal scores the bad ones come first: the order they were written in says nothing.
        """
        if not pairs:
            return {}
        scores = self._scores(inputs)
        targets = torch.tensor([pair.label for pair in pairs])
        figures = {
            "loss": float(F.binary_cross_entropy_with_logits(scores, targets)),
            "accuracy": float(((scores > 0) == (targets > 0.5)).float().mean()),
        }
        queries: dict[str, list[int]] = {}
        for place, pair in enumerate(pairs):
            queries.setdefault(pair.query, []).append(place)
        reciprocal = []
        for places in queries.values():
            order = sorted(places, key=lambda place: (-float(scores[place]), pairs[place].label > 0.5))
            good = [rank for rank, place in enumerate(order, 1) if pairs[place].label > 0.5]
            if good and len(good) < len(places):
                reciprocal.append(1 / good[0])
        return figures | ({"mrr": sum(reciprocal) / len(reciprocal)} if reciprocal else {})

    def preview(self, step: int) -> str:
        if not self.validation:
            return ""
        place = step % len(self.validation)
        pair = self.validation[place]
        one = Inputs([self.validation_inputs.ids[place]], [self.validation_inputs.types[place]])
        score = float(self._scores(one)[0].sigmoid())
        return f"{excerpt(pair.query)} | {excerpt(pair.passage)} -> {score:.2f} (it is {pair.label:g})"

    def _scores(self, inputs: Inputs) -> Tensor:
        scores = torch.zeros(len(inputs))
        for places, out in outputs(self.model, inputs):
            scores[places] = out.squeeze(-1)
        return scores


def f1(found: Tensor, true: Tensor) -> float:
    """2 · precision · recall / (precision + recall) of two rows of yes and no; 0 where nothing was found right."""
    right = int((found & true).sum())
    return 2 * right / max(1, int(found.sum()) + int(true.sum()))


def divergence(first: Tensor, second: Tensor) -> Tensor:
    """How far two answers (B, labels), scores before the softmax, are apart: KL both ways, the mean of the two."""
    p, q = first.log_softmax(-1), second.log_softmax(-1)
    both = [F.kl_div(one, other, log_target=True, reduction="batchmean") for one, other in ((p, q), (q, p))]
    return (both[0] + both[1]) / 2
