"""What a text that is being written will be worth, read from the hidden states of the network that writes it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ValueHead(nn.Module):
    """Hidden states (..., C) to values (...): a layer, tanh, and one output that begins at zero."""

    def __init__(self, d_model: int):
        super().__init__()
        self.dense = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, states: Tensor) -> Tensor:
        return self.out(torch.tanh(self.dense(states.float())))[..., 0]
