"""Cosines and sines of rotary positions in numpy; the sources are those of `models/rotary.py`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genarium.models.gpt_config import GPTConfig
from genarium.models.rotary import LinearScaling, Llama3Scaling, LongScaling


def plain_frequencies(config: GPTConfig) -> NDArray[np.float32]:
    """Radians by which a position turns each pair of a head, (D / 2,), where nothing is stretched."""
    D = config.head_dim
    return (1.0 / np.float32(config.rope_theta) ** (np.arange(0, D, 2, dtype=np.float32) / np.float32(D))).astype("f4")


def frequencies(config: GPTConfig) -> tuple[NDArray[np.float32], float]:
    """Those of the config, and what its cosines and sines are multiplied by."""
    scaling = config.rope_scaling
    plain: NDArray[Any] = plain_frequencies(config)
    factor = 1.0
    if isinstance(scaling, LinearScaling):
        plain = plain / np.float32(scaling.factor)
    elif isinstance(scaling, Llama3Scaling):
        plain = _llama3(plain, scaling)
    elif isinstance(scaling, LongScaling):
        plain, factor = plain / np.array(scaling.short_factor, np.float32), scaling.attention_factor
    return plain, factor


def tables(config: GPTConfig) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(context, D / 2) each, of every position."""
    plain, factor = frequencies(config)
    angles = np.outer(np.arange(config.context_length, dtype=np.float32), plain)
    return (np.cos(angles) * np.float32(factor)), (np.sin(angles) * np.float32(factor))


def _llama3(plain: NDArray[np.float32], scaling: Llama3Scaling) -> NDArray[np.float32]:
    wavelength = 2 * math.pi / plain
    original = scaling.original_max_position_embeddings
    low, high = original / scaling.low_freq_factor, original / scaling.high_freq_factor
    share = (original / wavelength - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    between = (1 - share) * plain / scaling.factor + share * plain
    stretched = np.where(wavelength > low, plain / scaling.factor, plain)
    return np.where((wavelength >= high) & (wavelength <= low), between, stretched).astype(np.float32)
