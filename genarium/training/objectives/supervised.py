"""Supervised fine-tuning: the likelihood of people's answers, and of nothing else."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from genarium.data.conversations import Prompt
from genarium.training.logprobs import of_marked
from genarium.training.objective import Objective
from genarium.training.policy import Policy
from genarium.training.preview import answer
from genarium.training.sources.answered import Answered
from genarium.training.sources.inputs import Batches, by_length


class Supervised(Objective):
    """The first step of InstructGPT (Ouyang et al. 2022, arXiv:2203.02155, 3.5): next-token prediction of answers.

    loss = - 1/N sum over the N answer tokens y_t of the batch of log p(y_t | prompt, y_<t). With `packing` the texts of
    a batch lie after each other without padding, each in positions and attention of its own, so that the loss is the
    same.
    """

    def __init__(
        self,
        policy: Policy,
        train: Answered,
        validation: Answered,
        *,
        batch_size: int,
        packing: bool,
        prompt: Prompt | None,
        seed: int,
        identity: dict[str, Any],
    ):
        self.policy, self.model = policy, policy.model
        self.train, self.validation = train, validation
        self.packing, self.prompt, self.seed = packing, prompt, seed
        self.batches = Batches(train.lengths, batch_size, seed)
        self.identity = identity | {
            "data": {"learned": train.digest(), "watched": validation.digest()},
            "batch_size": batch_size,
            "packing": packing,
        }

    def batch(self, index: int) -> tuple[Tensor, ...]:
        rows = self.batches.rows(index)
        return self.train.packed(rows) if self.packing else self.train.block(rows)

    def loss(self, tokens: Tensor, marks: Tensor, lengths: Tensor | None = None) -> Tensor:
        packed = None if lengths is None else lengths.tolist()
        return -of_marked(self.policy.model, tokens, marks, lengths=packed).mean()

    def evaluate(self) -> dict[str, float]:
        """Of the answers that are watched: `loss` in nats a token."""
        if not len(self.validation):
            return {}
        nats, tokens = 0.0, 0
        device = next(self.model.parameters()).device
        for places in by_length(self.validation.lengths, 16):
            block, marks = (part.to(device) for part in self.validation.block(places))
            found = of_marked(self.policy.model, block, marks)
            nats, tokens = nats - float(found.double().sum()), tokens + len(found)
        return {"loss": nats / tokens}

    def preview(self, step: int) -> str:
        return answer(self.policy, self.prompt, seed=self.seed)
