"""What a pipeline's work takes in memory beside its weights."""

from __future__ import annotations

from dataclasses import dataclass

DECODER_COPIES, DECODER_WIDTH = 5, 128
"""Copies of a decoder's widest feature map at once, a lower bound, and its channels where none is said."""


@dataclass(frozen=True)
class Work:
    """Bytes beside the weights: `denoising`, decoding in one piece (`whole`), and decoding in `tiles`."""

    denoising: int
    whole: int
    tiles: int
