"""The forward process: how much of a picture and how much noise there is at each timestep, and a walk back down.

At timestep t a picture x0 has become x = signal(t) x0 + noise(t) eps, with eps standard normal. t is what the
network is told, from 0 (clean) to about `n_timesteps` (noise). Two kinds:

- `DiffusionSchedule`: signal² + noise² = 1, from a table of betas (Ho et al. 2020, arXiv:2006.11239, eq. 4).
- `FlowSchedule`: signal = 1 - noise, a straight line (rectified flow: Liu et al. 2022, arXiv:2209.03003; flow
  matching: Lipman et al. 2022, arXiv:2210.02747), the noise's share shifted as in Stable Diffusion 3.

Shapes: B batch; a picture is (B, ...), in networks (B, C, H, W).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from genarium.errors import BadInput

Spacing = Literal["leading", "linspace", "trailing"]
Final = Literal["zero", "sigma_min"]


@dataclass(frozen=True)
class Levels:
    """What a sampler walks down: at level i, x = signal[i] x0 + noise[i] eps, and the network is told timesteps[i].

    There is one level more than timesteps: the last is where the walk ends, and no network is asked there.
    `flow` says that the path between levels is a straight line in x.
    """

    timesteps: tuple[float, ...]
    signal: tuple[float, ...]
    noise: tuple[float, ...]
    flow: bool = False

    def __len__(self) -> int:
        """Steps from the first level to the last."""
        return len(self.timesteps)

    def add_noise(self, x0: Tensor, noise: Tensor, level: int = 0) -> Tensor:
        """`x0` (B, ...) as it is at a level, with `noise` of its shape."""
        return self.signal[level] * x0 + self.noise[level] * noise

    def tail(self, strength: float) -> Levels:
        """The last `strength` (0 to 1) of the steps, at least one: where image to image begins (SDEdit,
        arXiv:2108.01073)."""
        if not 0 < strength <= 1:
            raise BadInput(f"strength must be above 0 and at most 1, got {strength}")
        first = len(self) - max(1, int(len(self) * strength))
        return Levels(self.timesteps[first:], self.signal[first:], self.noise[first:], self.flow)


class Schedule(Protocol):
    """What training and samplers ask of a forward process."""

    @property
    def n_timesteps(self) -> int: ...

    @property
    def flow(self) -> bool: ...

    def signal_noise(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The shares of picture and noise at timesteps `t` (B,): two of shape (B,), float32 on its device."""

    def levels(self, steps: int) -> Levels:
        """`steps` levels from noise down, and the one they end at; each kind has options of its own."""


def add_noise(schedule: Schedule, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """signal(t) x0 + noise(t) noise: pictures and noise (B, ...), a timestep for each, t (B,)."""
    signal, share = schedule.signal_noise(t)
    return expand(signal, x0) * x0 + expand(share, x0) * noise


def expand(values: Tensor, like: Tensor) -> Tensor:
    """(B,) as (B, 1, ...), to multiply `like` (B, ...)."""
    return values.to(like).view(-1, *[1] * (like.dim() - 1))


@dataclass(frozen=True)
class DiffusionSchedule:
    """Noise added in `n_timesteps` steps of variance beta each. The defaults are Stable Diffusion's.

    `linear`: betas on a line (DDPM, section 4: 1e-4 to 0.02). `scaled_linear`: their square roots on a line (latent
    diffusion). `cosine`: signal² as a squared cosine of t (Nichol and Dhariwal 2021, arXiv:2102.09672, eq. 17), betas
    at most 0.999. `trained_betas` gives them one by one. `zero_snr` stretches signal so that none is left at the end
    (Lin et al. 2023, arXiv:2305.08891, algorithm 1).
    """

    kind: Literal["linear", "scaled_linear", "cosine"] = "scaled_linear"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    n_timesteps: int = 1000
    zero_snr: bool = False
    trained_betas: tuple[float, ...] | None = None

    @property
    def flow(self) -> bool:
        return False

    @cached_property
    def betas(self) -> np.ndarray:
        """Variance added at each timestep, (n_timesteps,), float64; before any stretching."""
        count = self.n_timesteps
        if self.trained_betas is not None:
            return np.array(self.trained_betas)
        if self.kind == "linear":
            return np.linspace(self.beta_start, self.beta_end, count)
        if self.kind == "scaled_linear":
            return np.linspace(self.beta_start**0.5, self.beta_end**0.5, count) ** 2
        left = np.cos((np.arange(count + 1) / count + 0.008) / 1.008 * np.pi / 2) ** 2
        return np.minimum(1 - left[1:] / left[:-1], 0.999)

    @cached_property
    def alphas_cumprod(self) -> np.ndarray:
        """signal² at each timestep, (n_timesteps,), float64: the product of 1 - beta up to there."""
        left: np.ndarray = np.cumprod(1 - self.betas)
        if self.zero_snr:
            root = np.sqrt(left)
            left = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
            left[-1] = 2.0**-24  # not 0: the ratio of noise to signal stays a number
        return left

    @cached_property
    def sigmas(self) -> np.ndarray:
        """noise / signal at each timestep, (n_timesteps,), float64 (sigma of Karras et al. 2022, arXiv:2206.00364)."""
        return np.sqrt((1 - self.alphas_cumprod) / self.alphas_cumprod)

    def signal_noise(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """As `Schedule` says; `t` are whole numbers from 0 to n_timesteps - 1."""
        left = self.alphas_cumprod
        signal, noise = (torch.from_numpy(table).float().to(t.device) for table in (np.sqrt(left), np.sqrt(1 - left)))
        return signal[t.long()], noise[t.long()]

    def levels(
        self,
        steps: int,
        *,
        spacing: Spacing = "trailing",
        offset: int = 0,
        whole: bool = True,
        skip_last: bool = False,
        final: Final = "zero",
        karras: bool = False,
    ) -> Levels:
        """`steps` timesteps spread as `spacing` says (Lin et al. 2023, table 2), and where they end: clean (`zero`) or
        at timestep 0's level (`sigma_min`).

        `offset` is added to `leading` ones. `whole` rounds timesteps. `skip_last` lays one more and leaves out the
        least, as DPM-Solver does. `karras`: sigmas by Karras et al. 2022, eq. 5, with rho = 7, over the same range.
        Raises BadInput where there are more steps than timesteps.
        """
        at = self._spaced(steps, spacing, offset, skip_last)
        if whole:
            at = at.round()
        sigmas = np.interp(at, np.arange(self.n_timesteps), self.sigmas)
        if karras:
            most, least = (self.sigmas[-1], self.sigmas[0]) if skip_last else (sigmas[0], sigmas[-1])
            ramp = np.linspace(0, 1, steps)
            sigmas = (most ** (1 / 7) + ramp * (least ** (1 / 7) - most ** (1 / 7))) ** 7
            at = np.interp(np.log(sigmas), np.log(self.sigmas), np.arange(self.n_timesteps))
            at = at.round() if whole else at
        sigmas = np.append(sigmas, 0.0 if final == "zero" else self.sigmas[0])
        signal = 1 / np.sqrt(1 + sigmas**2)
        return Levels(tuple(at.tolist()), tuple(signal.tolist()), tuple((sigmas * signal).tolist()))

    def _spaced(self, steps: int, spacing: Spacing, offset: int, skip_last: bool) -> np.ndarray:
        count, laid = self.n_timesteps, steps + skip_last
        require_steps(steps, count - skip_last)
        if spacing == "trailing":
            return (count - np.arange(steps) * count / steps).round() - 1
        if spacing == "leading":
            return (np.arange(laid) * (count // laid))[::-1][:steps] + float(offset)
        return np.linspace(0, count - 1, laid)[::-1][:steps]


@dataclass(frozen=True)
class FlowSchedule:
    """A straight line from picture to noise: noise = t / n_timesteps, signal = 1 - noise.

    A `shift` above 1 puts more of the levels, and of training, where there is more noise, which larger pictures need:
    noise' = shift noise / (1 + (shift - 1) noise) (Esser et al. 2024, arXiv:2403.03206, eq. 23).
    """

    shift: float = 1.0
    n_timesteps: int = 1000

    @property
    def flow(self) -> bool:
        return True

    def shifted(self, noise: np.ndarray) -> np.ndarray:
        """Shares of noise, shifted."""
        return self.shift * noise / (1 + (self.shift - 1) * noise)

    def signal_noise(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """As `Schedule` says; `t` is any number from 0 to n_timesteps, shifted already where it was drawn."""
        noise = t.float() / self.n_timesteps
        return 1 - noise, noise

    def levels(
        self, steps: int, *, spacing: Literal["linspace", "trailing"] = "trailing", skip_last: bool = False
    ) -> Levels:
        """Shares of noise from 1 down in `steps` equal steps (`trailing`), then shifted; they end at 0.

        `linspace` is what diffusers lays: from 1 to the least timestep, 1 / n_timesteps, or with `skip_last`, for
        DPM-Solver, from just under 1 in equal steps. Raises BadInput where there are more steps than timesteps.
        """
        require_steps(steps, self.n_timesteps)
        least = 1 / self.n_timesteps
        if spacing == "trailing":
            noise = 1 - np.arange(steps) / steps
        elif skip_last:
            noise = np.linspace(1 - least, 0, steps + 1)[:steps]
        else:
            # The end is shifted twice: once as the end of the training range, then with all others.
            noise = np.linspace(1, float(self.shifted(np.array(least))), steps)
        noise = np.append(self.shifted(noise), 0.0)
        timesteps = noise[:-1] * self.n_timesteps
        return Levels(tuple(timesteps.tolist()), tuple((1 - noise).tolist()), tuple(noise.tolist()), flow=True)


def require_steps(steps: int, most: int) -> None:
    """Raises BadInput."""
    if not 1 <= steps <= most:
        raise BadInput(f"steps must be from 1 to {most}, got {steps}")


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """A random number generator for each picture: what it draws depends on its own seed alone."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def draw_noise(
    sources: Sequence[torch.Generator], shape: Sequence[int], *, device: str | torch.device = "cpu"
) -> Tensor:
    """Standard normal noise (B, *shape), float32, a picture from each generator.

    Drawn on the CPU whatever the device, so that a seed means the same picture everywhere.
    """
    return torch.stack([torch.randn(tuple(shape), generator=source) for source in sources]).to(device)
