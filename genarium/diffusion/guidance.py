"""Classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598): away from one condition, towards another."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from genarium.diffusion.samplers import Denoise


def guided(
    network: Callable[..., Tensor],
    condition: Mapping[str, Tensor],
    negative: Mapping[str, Tensor],
    scale: float,
    *,
    rescale: float = 0.0,
    interval: tuple[float, float] | None = None,
    shares: bool = False,
) -> Denoise:
    """A denoiser that says negative + scale (condition - negative), both halves computed in one batch.

    `network(x, t, **condition)` is asked with tensors (B, ...) of the same names and shapes on both sides. At scale 1,
    and outside of the `interval` of timesteps (Kynkäänniemi et al. 2024, arXiv:2404.07724), only the
    condition is asked, which takes half the time. `rescale` (0 to 1) brings the output's standard deviation back to the
    condition's (Lin et al. 2023, arXiv:2305.08891, eq. 15 and 16), against overexposure at high scales. A network that
    `shares` is asked with x and t once and with both conditions: it computes once what does not depend on them.
    """
    if condition.keys() != negative.keys():
        raise ValueError(f"what is compared says the same things: {[*condition]} and {[*negative]} do not")
    both = {name: torch.cat([negative[name], one]) for name, one in condition.items()}

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        outside = interval is not None and not interval[0] <= float(t[0]) <= interval[1]
        if scale == 1 or outside:
            return network(x, t, **condition)
        twice = (x, t) if shares else (torch.cat([x, x]), torch.cat([t, t]))
        against, towards = network(*twice, **both).chunk(2)
        out = against + scale * (towards - against)
        if rescale:
            axes = tuple(range(1, out.dim()))
            as_before = out * (towards.std(axes, keepdim=True) / out.std(axes, keepdim=True))
            out = rescale * as_before + (1 - rescale) * out
        return out

    return denoise
