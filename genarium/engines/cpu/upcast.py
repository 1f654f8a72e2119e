"""bfloat16 networks on a CPU whose oneDNN has no bfloat16 products: weights stay so, each layer multiplies in float32.

torch's own kernels for it are up to 4 times slower than float32 for matrices and 10 to 200 times for convolutions
(measured on an AVX2 CPU). A layer whose weights and inputs are raised for its own products only, and whose output is
rounded to bfloat16, does what oneDNN does with AVX-512, and takes the memory of one layer more.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.devices import cpu_bfloat16

FEW = 8
"""Rows below which torch's own kernel is faster than raising the weights: reading them is all its time."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`F.linear` of bfloat16 tensors on a CPU, x (..., in) to (..., out)."""
    if x.numel() < FEW * x.shape[-1]:
        return F.linear(x, weight, bias)
    return F.linear(x.float(), weight.float(), None if bias is None else bias.float()).to(x.dtype)


class _Linear(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


class _Convolution(nn.Module):
    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        plain: Any = super()
        raised = plain._conv_forward(input.float(), weight.float(), None if bias is None else bias.float())
        return raised.to(input.dtype)  # type: ignore[no-any-return]


class _Conv1d(_Convolution, nn.Conv1d):
    pass


class _Conv2d(_Convolution, nn.Conv2d):
    pass


class _Conv3d(_Convolution, nn.Conv3d):
    pass


RAISED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: _Linear,
    nn.Conv1d: _Conv1d,
    nn.Conv2d: _Conv2d,
    nn.Conv3d: _Conv3d,
}


def use_float32_products(model: nn.Module) -> None:
    """Have every bfloat16 layer inside `model` multiply in float32, in place; nothing where oneDNN takes bfloat16.

    Before anything wraps the layers' `forward`, as hooks of accelerate do.
    """
    if cpu_bfloat16() != "plain":
        return
    for module in model.modules():
        if (kind := RAISED.get(type(module))) and module.weight.dtype == torch.bfloat16:
            module.__class__ = kind
