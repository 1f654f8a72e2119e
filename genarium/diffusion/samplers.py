"""Samplers: from noise to a picture, as plain functions of a denoiser and the levels to walk down.

    x = draw_noise(generators(seeds), (4, 64, 64))
    x = dpm_solver_2m(denoise, x, schedule.levels(20), prediction="epsilon")

All take `denoise(x, t)`: what the network says of pictures x (B, ...) at timesteps t (B,), float32; a `prediction`,
which is the kind of thing it says (`targets`); and walk x from levels 0 to the last. x is standard normal noise to
begin with, or a picture with noise added at level 0. At each level the network's word is split into a picture x0 and
noise eps; samplers differ in what they make of them. Arithmetic is x's, float32 whatever the network's is, and of each
picture by itself.

Also: `on_step(step, total, x0)` is called after each step, from 1, with the picture as it looks so far (B, ...);
`at_level(x, i)` may put x right when it has come to level i (`inpaint`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from genarium.diffusion.schedules import Levels, draw_noise
from genarium.diffusion.targets import Prediction, split
from genarium.errors import BadInput

Denoise = Callable[[Tensor, Tensor], Tensor]
OnStep = Callable[[int, int, Tensor], None]
AtLevel = Callable[[Tensor, int], Tensor]


class Sampler(Protocol):
    """The signature all samplers share. Those that add noise on the way draw it from `generators`, one a picture."""

    def __call__(
        self,
        denoise: Denoise,
        x: Tensor,
        levels: Levels,
        *,
        prediction: Prediction = "epsilon",
        generators: Sequence[torch.Generator] | None = None,
        clip: float | None = None,
        on_step: OnStep | None = None,
        at_level: AtLevel | None = None,
    ) -> Tensor: ...


def ddim(
    denoise: Denoise,
    x: Tensor,
    levels: Levels,
    *,
    prediction: Prediction = "epsilon",
    eta: float = 0.0,
    generators: Sequence[torch.Generator] | None = None,
    clip: float | None = None,
    on_step: OnStep | None = None,
    at_level: AtLevel | None = None,
) -> Tensor:
    """Down to the next level along the noise that was found, of which a share is drawn anew (Song et al. 2020,
    arXiv:2010.02502, eq. 12 and 16): none at eta 0, as much as in DDPM at 1. `clip` keeps x0 within ±clip."""
    for i in range(len(levels)):
        x0, eps = estimate(denoise, x, levels, i, prediction)
        x0 = x0 if clip is None else x0.clamp(-clip, clip)
        new = eta * posterior_std(levels, i)
        x = levels.signal[i + 1] * x0 + math.sqrt(max(0.0, levels.noise[i + 1] ** 2 - new**2)) * eps
        if new > 0:
            x = x + new * _draw(generators, x)
        x = _arrived(x, x0, i, levels, on_step, at_level)
    return x


def ddpm(
    denoise: Denoise,
    x: Tensor,
    levels: Levels,
    *,
    prediction: Prediction = "epsilon",
    generators: Sequence[torch.Generator] | None = None,
    clip: float | None = None,
    on_step: OnStep | None = None,
    at_level: AtLevel | None = None,
) -> Tensor:
    """Ancestral sampling (Ho et al. 2020, arXiv:2006.11239, algorithm 2 and eq. 7), the smaller of its variances."""
    for i in range(len(levels)):
        x0, _ = estimate(denoise, x, levels, i, prediction)
        x0 = x0 if clip is None else x0.clamp(-clip, clip)
        (a, b), (a_next, b_next) = _pair(levels, i)
        # The mean of q(x_next | x, x0): x holds share a / a_next of what is next.
        keep = a / a_next * (b_next / b) ** 2
        x = keep * x + (a_next - keep * a) * x0
        if (std := posterior_std(levels, i)) > 0:
            x = x + std * _draw(generators, x)
        x = _arrived(x, x0, i, levels, on_step, at_level)
    return x


def euler(
    denoise: Denoise,
    x: Tensor,
    levels: Levels,
    *,
    prediction: Prediction = "epsilon",
    generators: Sequence[torch.Generator] | None = None,
    clip: float | None = None,
    on_step: OnStep | None = None,
    at_level: AtLevel | None = None,
) -> Tensor:
    """Euler's method on the probability flow ODE (Karras et al. 2022, arXiv:2206.00364, eq. 1), or on a flow's.

    With x = signal x0 + noise eps, both say the same: x0 and eps stay as they are found, to the next level. It is DDIM
    at eta 0; what is called Euler elsewhere differs by its levels.
    """
    return ddim(denoise, x, levels, prediction=prediction, clip=clip, on_step=on_step, at_level=at_level)


def heun(
    denoise: Denoise,
    x: Tensor,
    levels: Levels,
    *,
    prediction: Prediction = "epsilon",
    generators: Sequence[torch.Generator] | None = None,
    clip: float | None = None,
    on_step: OnStep | None = None,
    at_level: AtLevel | None = None,
) -> Tensor:
    """Heun's method (Karras et al. 2022, algorithm 1, no churn): the slope is the mean of that here and that found at
    the next level. Asks the network twice a step, but for a last one that ends without noise.

    The ODE is dz/dsigma = eps for z = x / signal, sigma = noise / signal; on a flow dx/dnoise = eps - x0.
    """
    for i in range(len(levels)):
        x0, eps = estimate(denoise, x, levels, i, prediction)
        x0 = x0 if clip is None else x0.clamp(-clip, clip)
        (a, b), (a_next, b_next) = _pair(levels, i)
        before, x = x, a_next * x0 + b_next * eps
        if b_next > 0:
            if i + 1 == len(levels):
                raise BadInput("Heun's method ends without noise; choose final zero")
            x0_next, eps_next = estimate(denoise, x, levels, i + 1, prediction)
            if levels.flow:
                x = before + (b_next - b) * ((eps - x0) + (eps_next - x0_next)) / 2
            else:
                x = a_next / a * before + (b_next - a_next * b / a) * (eps + eps_next) / 2
        x = _arrived(x, x0, i, levels, on_step, at_level)
    return x


def dpm_solver_2m(
    denoise: Denoise,
    x: Tensor,
    levels: Levels,
    *,
    prediction: Prediction = "epsilon",
    generators: Sequence[torch.Generator] | None = None,
    clip: float | None = None,
    on_step: OnStep | None = None,
    at_level: AtLevel | None = None,
) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv:2211.01095, algorithm 2): x0 is continued on a line through its last two
    estimates, over lambda = log(signal / noise).

    First order for the first step, and for the last of fewer than 15 or one that ends without noise.
    """
    earlier: Tensor | None = None
    before = math.nan  # how far in lambda the step before went
    for i in range(len(levels)):
        x0, _ = estimate(denoise, x, levels, i, prediction)
        x0 = x0 if clip is None else x0.clamp(-clip, clip)
        (a, b), (a_next, b_next) = _pair(levels, i)
        h = math.inf if a == 0 or b_next == 0 else math.log(a_next / b_next) - math.log(a / b)
        last = i + 1 == len(levels) and (b_next == 0 or len(levels) < 15)
        towards = x0
        if earlier is not None and not last and math.isfinite(before):
            towards = x0 + h / before / 2 * (x0 - earlier)
        x = b_next / b * x + (a_next - a * b_next / b) * towards
        earlier, before = x0, h
        x = _arrived(x, x0, i, levels, on_step, at_level)
    return x


SAMPLERS: dict[str, Sampler] = {
    "dpm++2m": dpm_solver_2m,
    "ddim": ddim,
    "ddpm": ddpm,
    "euler": euler,
    "heun": heun,
}


def inpaint(known: Tensor, mask: Tensor, noise: Tensor, levels: Levels) -> AtLevel:
    """An `at_level` that keeps `known` (B, ...) where `mask` (broadcast to it) is 0 and lets 1 be painted: at each
    level the known part is put back with as much of `noise` as belongs there (Lugmayr et al. 2022, arXiv:2201.09865,
    eq. 8, with one noise throughout)."""
    return lambda x, level: mask * x + (1 - mask) * levels.add_noise(known, noise, level)


def estimate(denoise: Denoise, x: Tensor, levels: Levels, i: int, prediction: Prediction) -> tuple[Tensor, Tensor]:
    """The picture and the noise, (B, ...) each, that the network sees in x at level i. Raises BadInput."""
    if prediction == "epsilon" and levels.signal[i] == 0:
        raise BadInput("a network that predicts noise can't begin where nothing else is; it needs a diffusion schedule")
    t = torch.full((len(x),), levels.timesteps[i], dtype=torch.float32, device=x.device)
    return split(prediction, denoise(x, t).to(x.dtype), x, levels.signal[i], levels.noise[i])


def posterior_std(levels: Levels, i: int) -> float:
    """Standard deviation of level i + 1 given levels i and x0 (Ho et al. 2020, eq. 7, for any signal and noise)."""
    (a, b), (a_next, b_next) = _pair(levels, i)
    return b_next / b * math.sqrt(max(0.0, b**2 - (a / a_next * b_next) ** 2))


def _pair(levels: Levels, i: int) -> tuple[tuple[float, float], tuple[float, float]]:
    return (levels.signal[i], levels.noise[i]), (levels.signal[i + 1], levels.noise[i + 1])


def _draw(generators: Sequence[torch.Generator] | None, x: Tensor) -> Tensor:
    if generators is None or len(generators) != len(x):
        raise BadInput(f"this sampler adds noise; give it a generator for each of the {len(x)} pictures")
    return draw_noise(generators, x.shape[1:], device=x.device).to(x.dtype)


def _arrived(x: Tensor, x0: Tensor, i: int, levels: Levels, on_step: OnStep | None, at_level: AtLevel | None) -> Tensor:
    if at_level is not None:
        x = at_level(x, i + 1)
    if on_step is not None:
        on_step(i + 1, len(levels), x0)
    return x
