"""Weights of 8 and 4 bits, as onnxruntime's `MatMulNBits` holds them: blocks of a row that share a scale.

A value is (q - zero) * scale. At 8 bits zero is 128; at 4 bits each block has its own. GGML's Q8_0 and Q4_0 are such
blocks already and are taken over as they are; Q4_1 and others, whose blocks begin at any number, are fitted anew.
Shapes: N rows (outputs), K values a row, G blocks a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
SHRUNK = (1.0, 0.95, 0.9, 0.85, 0.8)
"""Ranges that are tried for each block of 4 bits: a smaller one errs at its ends and less within."""
AT_ONCE = 1 << 22
"""Values that are quantised at once, so that little memory is taken beside the weights."""


@dataclass(frozen=True)
class Quantised:
    """`values` (N, G, bytes of a block), `scales` (N, G), `zeros` (N, bytes) with two of 4 bits each, or None."""

    values: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.uint8] | None


def quantise(rows: NDArray[np.float32], bits: int) -> Quantised:
    """The rows (N, K) at 8 or 4 bits; a last block that K does not fill is filled with zeros."""
    step = max(1, AT_ONCE // rows.shape[1])
    parts = [_quantise(rows[at : at + step], bits) for at in range(0, len(rows), step)]
    return concatenated(parts)


def concatenated(parts: Sequence[Quantised]) -> Quantised:
    zeros = [part.zeros for part in parts if part.zeros is not None]
    return Quantised(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.scales for part in parts]),
        np.concatenate(zeros) if zeros else None,
    )


def _quantise(rows: NDArray[np.float32], bits: int) -> Quantised:
    n, k = rows.shape
    padded = np.pad(rows, ((0, 0), (0, -k % BLOCK))) if k % BLOCK else rows
    blocks = np.ascontiguousarray(padded, np.float32).reshape(n, -1, BLOCK)
    if bits == 8:
        scales = np.abs(blocks).max(axis=-1, keepdims=True) / np.float32(127)
        whole = np.rint(blocks / np.where(scales == 0, np.float32(1), scales))
        return Quantised((whole + 128).astype(np.uint8), scales[..., 0], None)
    low, high = np.minimum(blocks.min(axis=-1, keepdims=True), 0), np.maximum(blocks.max(axis=-1, keepdims=True), 0)
    best: list[NDArray[Any]] | None = None
    for share in SHRUNK:
        scales = ((high - low) * np.float32(share / 15)).astype(np.float32)
        divisor = np.where(scales == 0, np.float32(1), scales)
        zeros = np.clip(np.rint(-low * np.float32(share) / divisor), 0, 15)
        whole = np.clip(np.rint(blocks / divisor) + zeros, 0, 15)
        error = np.square((whole - zeros) * scales - blocks).sum(axis=-1, keepdims=True)
        if best is None:
            best = [error, scales, zeros, whole]
            continue
        better = error < best[0]
        best = [np.where(better, new, old) for new, old in zip((error, scales, zeros, whole), best, strict=True)]
    assert best is not None
    _, scales, zeros, whole = best
    packed = _packed(np.asarray(whole, np.uint8))
    return Quantised(packed, scales[..., 0].astype(np.float32), _packed_zeros(zeros[..., 0]))


def _packed(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two values of 4 bits a byte, the first in the lower half."""
    packed: NDArray[np.uint8] = values[..., ::2] | (values[..., 1::2] << np.uint8(4))
    return packed


def _packed_zeros(zeros: NDArray[np.float32]) -> NDArray[np.uint8]:
    return _packed(np.pad(zeros, ((0, 0), (0, zeros.shape[1] % 2))).astype(np.uint8))


def of_ggml(stored: NDArray[np.uint8], kind: str, bits: int) -> Quantised | None:
    """GGML's blocks (N, bytes of a row) as they are; None where `bits` can't hold them."""
    if (kind, bits) not in (("Q8_0", 8), ("Q4_0", 4)):
        return None
    n, size = len(stored), 34 if bits == 8 else 18
    blocks = stored.reshape(n, -1, size)
    scales = np.ascontiguousarray(blocks[..., :2]).view("<f2")[..., 0].astype(np.float32)
    inner = blocks[..., 2:]
    if bits == 8:
        return Quantised(inner ^ np.uint8(128), scales, None)  # signed, and now from 0
    # GGML has the first half of a block in the lower halves of its bytes, the second half in the upper ones.
    values = np.concatenate([inner & 15, inner >> 4], axis=-1)
    zeros = np.full((n, values.shape[1]), 8, np.float32)
    return Quantised(_packed(values), scales, _packed_zeros(zeros))
