"""Matrix products as decoding on a CPU needs them: few rows, so that reading the weights is all the time.

torch's `linear` reads weights for one row at about half the memory's speed. oneDNN multiplies weights laid out for it
beforehand, the way torch.compile's freezing does, and keeps the memory's pace from 1 to 32 rows; for the many rows of a
prompt, which arithmetic binds, it is a fifth faster still. Figures in `benchmarks/README.md`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genarium.engines.cpu.upcast import use_float32_products

PACKED_ROWS = 32  # what oneDNN chooses a layout for; it holds for more and for fewer


class DecodingLinear(nn.Module):
    """The same map as the `nn.Linear` it stands for, x (..., in) to (..., out). The plain weights are let go."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.bias = linear.bias
        self.packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), PACKED_ROWS)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        return y


def use_decoding_linears(model: nn.Module) -> None:
    """Replace every `nn.Linear` inside `model`, in place. For inference on a CPU, in float32 or bfloat16.

    Where oneDNN takes no bfloat16, its layers multiply in float32 instead.
    """
    use_float32_products(model)
    if not torch.backends.mkldnn.is_available():
        return
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Linear:
                setattr(module, name, DecodingLinear(child))
