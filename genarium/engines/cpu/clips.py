"""The networks of clips laid out for a CPU: channels last, weights packed beforehand, fewer products in float32.

Every layer gives what it gave, but for rounding. What is let go of is the plain weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genarium.engines.cpu.linear import DecodingLinear
from genarium.engines.cpu.upcast import use_float32_products
from genarium.engines.cpu.winograd import Along, Around

FEWEST = 64
"""Channels from which Winograd's sums are worth it: with fewer they take the time that they save."""
FEWEST_ALONG = 640
"""Channels of a convolution over time that they are worth it for, which saves half and not three quarters."""


class PlaceLinear(nn.Module):
    """A convolution 1x1 of (B, C, H, W) whose channels lie last: a matrix product of every place."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        linear = nn.Linear(conv.in_channels, conv.out_channels, device="meta")
        linear.weight = nn.Parameter(conv.weight.detach()[:, :, 0, 0].contiguous(), requires_grad=False)
        linear.bias = conv.bias  # type: ignore[assignment]  # None is one, too
        self.linear = DecodingLinear(linear)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x.permute(0, 2, 3, 1))
        return y.permute(0, 3, 1, 2)


def use_clip_kernels(model: nn.Module) -> None:
    """Lay out a network of `models.unet3d` or `models.vae` in place, for inference; on a GPU only its memory."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    use_float32_products(model)
    if next(model.parameters()).device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return
    # Without the layers themselves, whose plain weights are let go of one after another.
    for module in [module for module in model.modules() if next(module.children(), None) is not None]:
        for name, child in list(module.named_children()):
            if (laid_out := _laid_out(child)) is not None:
                setattr(module, name, laid_out)


def _laid_out(layer: nn.Module) -> nn.Module | None:
    """What stands for the layer; None where it stays."""
    if type(layer) is nn.Linear:
        return DecodingLinear(layer)
    if type(layer) is not nn.Conv2d or layer.stride != (1, 1) or layer.weight.dtype != torch.float32:
        return None
    size = layer.in_channels * layer.out_channels
    if layer.kernel_size == (1, 1):
        return PlaceLinear(layer)
    if layer.kernel_size == (3, 3) and layer.padding == (1, 1) and size >= FEWEST**2:
        return Around(layer)
    if layer.kernel_size == (3, 1) and size >= FEWEST_ALONG**2:
        return Along(layer)
    return None
