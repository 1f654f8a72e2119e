"""Rotary positions (Su et al. 2021, arXiv:2104.09864), and the ways to stretch them over longer texts.

Each way turns the wavelengths that a network was trained with into those of a longer context; some also scale the
attention. D is the head width, and positions count tokens from 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LinearScaling:
    """All positions closer together by `factor` (Chen et al. 2023, arXiv:2306.15595)."""

    factor: float = 1.0

    def frequencies(self, D: int, theta: float) -> Tensor:
        """(1, D / 2), in radians a token."""
        return plain_frequencies(D, theta) / self.factor

    @property
    def attention_factor(self) -> float:
        """What cosines and sines are multiplied by."""
        return 1.0


@dataclass(frozen=True)
class Llama3Scaling:
    """Long wavelengths by `factor`, short ones not at all (Llama 3.1, arXiv:2407.21783)."""

    factor: float = 8.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 8192

    def frequencies(self, D: int, theta: float) -> Tensor:
        import torch

        inv_freq = plain_frequencies(D, theta)
        wavelength = 2 * math.pi / inv_freq
        low = self.original_max_position_embeddings / self.low_freq_factor
        high = self.original_max_position_embeddings / self.high_freq_factor
        smooth = (self.original_max_position_embeddings / wavelength - self.low_freq_factor) / (
            self.high_freq_factor - self.low_freq_factor
        )
        between = (1 - smooth) * inv_freq / self.factor + smooth * inv_freq
        scaled = torch.where(wavelength > low, inv_freq / self.factor, inv_freq)
        is_between = ~(wavelength < high) & ~(wavelength > low)
        return torch.where(is_between, between, scaled)

    @property
    def attention_factor(self) -> float:
        return 1.0


@dataclass(frozen=True)
class YarnScaling:
    """A ramp from unstretched to stretched wavelengths, and warmer attention (Peng et al. 2023, arXiv:2309.00071)."""

    factor: float
    original_max_position_embeddings: int
    attention_factor: float
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True

    def frequencies(self, D: int, theta: float) -> Tensor:
        import torch

        def dimension(rotations: float) -> float:
            return (D * math.log(self.original_max_position_embeddings / (rotations * 2 * math.pi))) / (
                2 * math.log(theta)
            )

        low, high = dimension(self.beta_fast), dimension(self.beta_slow)
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, D - 1)
        high = high + 0.001 if low == high else high
        ramp = 1 - ((torch.arange(D // 2, dtype=torch.float32) - low) / (high - low)).clamp(0, 1)
        wavelengths = theta ** (torch.arange(0, D, 2).float() / D)
        return (1.0 / (self.factor * wavelengths) * (1 - ramp) + 1.0 / wavelengths * ramp).unsqueeze(0)


@dataclass(frozen=True)
class LongScaling:
    """A factor for each wavelength, one set for short and one for long texts (Ding et al. 2024, arXiv:2402.13753).

    A text counts as long from `original_max_position_embeddings` + 1 tokens on.
    """

    short_factor: tuple[float, ...]
    long_factor: tuple[float, ...]
    original_max_position_embeddings: int
    attention_factor: float

    def frequencies(self, D: int, theta: float) -> Tensor:
        """(2, D / 2): those of short and those of long texts."""
        import torch

        factors = torch.tensor([self.short_factor, self.long_factor], dtype=torch.float32)
        return 1.0 / (factors * theta ** (torch.arange(0, D, 2, dtype=torch.int64).float() / D))


Scaling = LinearScaling | Llama3Scaling | YarnScaling | LongScaling


def plain_frequencies(D: int, theta: float) -> Tensor:
    """(1, D / 2), unscaled (eq. 15)."""
    import torch

    return (1.0 / (theta ** (torch.arange(0, D, 2, dtype=torch.int64).float() / D))).unsqueeze(0)


def rotary_table(D: int, theta: float, scaling: Scaling | None, length: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (eq. 34), each (1, length, D); (2, length, D), for short and for long texts, of LongScaling."""
    import torch

    inv_freq = plain_frequencies(D, theta) if scaling is None else scaling.frequencies(D, theta)
    angles = torch.stack([torch.outer(torch.arange(length).float(), one) for one in inv_freq])
    angles = torch.cat((angles, angles), dim=-1)
    if scaling is None or scaling.attention_factor == 1:
        return angles.cos(), angles.sin()
    return angles.cos() * scaling.attention_factor, angles.sin() * scaling.attention_factor


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn (B, H, T, D) by position; `cos`, `sin` are (B or 1, 1, T, D)."""
    import torch

    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


def ends_of(positions: Tensor, lengths: Sequence[int] | None) -> Tensor:
    """How long the text of each position is so far, (B or 1, T or 1): `lengths` where texts lie after each other."""
    import torch

    if lengths is None:
        return positions[:, -1:] + 1
    sizes = torch.tensor(lengths, device=positions.device)
    return sizes.repeat_interleave(sizes).unsqueeze(0)
