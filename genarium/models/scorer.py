"""A decoder with one number for a text in place of next tokens: a reward model."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from genarium.models.gpt import GPT, GPTConfig


class Scorer(nn.Module):
    """Token ids (B, T) to scores (B,): a linear layer, without bias, over the last token's state.

    `trunk` is one that there is already; its head is given up, since nothing reads it.

    Stiennon et al. 2020 (arXiv:2009.01325, 3.4); Ouyang et al. 2022 (arXiv:2203.02155, 3.5). As transformers'
    `…ForSequenceClassification` of one label.
    """

    def __init__(self, config: GPTConfig, trunk: GPT | None = None):
        super().__init__()
        self.config = replace(config, tie_embeddings=True)
        self.trunk = GPT(self.config) if trunk is None else trunk
        self.trunk.config = self.config
        self.trunk.head.weight = self.trunk.embedding.weight
        self.score = nn.Linear(config.d_model, 1, bias=False)
        self.reset_score()

    def reset_score(self) -> None:
        """Normal(0, 1 / (d_model + 1)), as Stiennon et al. begin (appendix B.1)."""
        nn.init.normal_(self.score.weight, std=1 / math.sqrt(self.config.d_model + 1))

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Of rows of `lengths` (B,) tokens, padded at the right with anything: nothing reads that."""
        states = self.trunk.hidden(tokens)
        last = states[torch.arange(len(states), device=states.device), lengths - 1]
        return self.score(last).squeeze(-1)
