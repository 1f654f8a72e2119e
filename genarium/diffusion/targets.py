"""What a denoiser is trained to say about x = signal x0 + noise eps, and how each is told from another.

| prediction | the network says           | from                                                    |
|------------|----------------------------|---------------------------------------------------------|
| `epsilon`  | eps                        | Ho et al. 2020, arXiv:2006.11239, eq. 14                |
| `v`        | signal eps - noise x0      | Salimans and Ho 2022, arXiv:2202.00512, appendix D      |
| `flow`     | eps - x0                   | Lipman et al. 2022, arXiv:2210.02747; Liu et al. 2022   |
| `sample`   | x0                         | Ho et al. 2020, section 3.2                             |

Every prediction can be had on every schedule. Shapes: pictures (B, ...); `signal` and `noise` (B,), or numbers.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from genarium.diffusion.schedules import FlowSchedule, Schedule, expand

Prediction = Literal["epsilon", "v", "flow", "sample"]
Share = Tensor | float


def target(prediction: Prediction, x0: Tensor, eps: Tensor, signal: Share, noise: Share) -> Tensor:
    """What the network should say, (B, ...), of pictures and their noise (B, ...)."""
    a, b = _shares(x0, signal, noise)
    match prediction:
        case "epsilon":
            return eps
        case "v":
            return a * eps - b * x0
        case "flow":
            return eps - x0
        case "sample":
            return x0


def split(prediction: Prediction, output: Tensor, x: Tensor, signal: Share, noise: Share) -> tuple[Tensor, Tensor]:
    """What the network said about x (B, ...), as its picture x0 and its noise eps: signal x0 + noise eps = x.

    Not for `epsilon` where signal is 0, nor for `sample` where noise is 0: nothing can be told of the other.
    """
    a, b = _shares(x, signal, noise)
    match prediction:
        case "epsilon":
            return (x - b * output) / a, output
        case "v":
            square = a * a + b * b  # 1 where variance is preserved
            return (a * x - b * output) / square, (b * x + a * output) / square
        case "flow":
            return (x - b * output) / (a + b), (x + a * output) / (a + b)
        case "sample":
            return output, (x - a * output) / b


def convert(output: Tensor, x: Tensor, signal: Share, noise: Share, *, source: Prediction, to: Prediction) -> Tensor:
    """One prediction of x (B, ...) as another kind."""
    return target(to, *split(source, output, x, signal, noise), signal, noise)


def min_snr_weight(prediction: Prediction, signal: Tensor, noise: Tensor, *, gamma: float = 5.0) -> Tensor:
    """Weights (B,) of the squared errors so that each counts min(SNR, gamma) times its error in x0 (Hang et al. 2023,
    arXiv:2303.09556, eq. 8). SNR = signal² / noise²; what is divided by is how much the output moves with x0."""
    snr = (signal / noise.clamp_min(1e-8)) ** 2
    weight = snr.clamp_max(gamma)
    match prediction:
        case "epsilon":
            return weight / snr.clamp_min(1e-8)
        case "v":
            return weight * (noise / (signal**2 + noise**2)) ** 2
        case "flow":
            return weight * (noise / (signal + noise)) ** 2
        case "sample":
            return weight


def draw_timesteps(
    schedule: Schedule,
    count: int,
    *,
    how: Literal["uniform", "logit_normal"] = "uniform",
    mean: float = 0.0,
    std: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Timesteps (count,) to train at: int64 of a diffusion schedule, float32 of a flow's, which are shifted here.

    `logit_normal` draws the middle more often than the ends: sigmoid of a normal number (Esser et al. 2024,
    arXiv:2403.03206, eq. 19).
    """
    if how == "uniform":
        share = torch.rand(count, generator=generator)
    else:
        share = torch.sigmoid(mean + std * torch.randn(count, generator=generator))
    if isinstance(schedule, FlowSchedule):
        return schedule.shift * share / (1 + (schedule.shift - 1) * share) * schedule.n_timesteps
    return (share * schedule.n_timesteps).long().clamp_max(schedule.n_timesteps - 1)


def _shares(x: Tensor, signal: Share, noise: Share) -> tuple[Share, Share]:
    return tuple(expand(part, x) if isinstance(part, Tensor) else part for part in (signal, noise))  # type: ignore[return-value]
