"""Matrix products as decoding on a CPU needs them: few rows, so that reading the weights is all the time.

torch's `linear` reads weights for one row at about half the memory's speed. oneDNN multiplies weights laid out for it
beforehand, the way torch.compile's freezing does, and keeps the memory's pace from 1 to 32 rows. More rows (reading a
prompt) are bound by arithmetic, where `linear` is as good. Figures in `benchmarks/README.md`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PACKED_ROWS = 32


class DecodingLinear(nn.Module):
    """The same map as the `nn.Linear` it stands for, x (..., in) to (..., out); shares its weights.

    With `alone` the weights are packed at once and their plain form is let go: for networks that read few rows only.
    """

    def __init__(self, linear: nn.Linear, *, alone: bool = False):
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.packed: Tensor | None = None
        self.rows: float = PACKED_ROWS
        if alone:
            self.packed, self.rows = self._pack(), torch.inf
            del self.weight

    def forward(self, x: Tensor) -> Tensor:
        rows = x.numel() // x.shape[-1]
        if rows <= self.rows:
            if self.packed is None:
                # Costs a second copy of the weights, made when the first token is decoded.
                self.packed = self._pack()
            return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        return F.linear(x, self.weight, self.bias)

    def _pack(self) -> Tensor:
        packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(self.weight, PACKED_ROWS)
        return packed


def use_decoding_linears(model: nn.Module, *, alone: bool = False) -> None:
    """Replace every `nn.Linear` inside `model`, in place. For inference on a CPU, in float32 or bfloat16."""
    if not torch.backends.mkldnn.is_available():
        return
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Linear:
                setattr(module, name, DecodingLinear(child, alone=alone))
