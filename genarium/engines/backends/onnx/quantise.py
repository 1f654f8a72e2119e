"""Weights of 8 and 4 bits, as onnxruntime's `MatMulNBits` holds them: blocks of a row that share a scale.

A value is (q - zero) * scale, where zero is a whole number too. GGML's Q8_0 and Q4_0 are such blocks already and are
taken over as they are; of Q4_1, q * scale + least, what no whole zero gives is kept beside, a number a block.
Shapes: N rows (outputs), K values a row, G blocks a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genarium.checkpoints.store.ggml import halves

BLOCK = 32
SHARES = {8: (1.0,), 4: (1.1, 1.05, 1.0, 0.95, 0.9, 0.85, 0.8)}
"""Ranges that are tried for each block of so many bits: a smaller one errs at its ends and less within."""
AT_ONCE = 1 << 22
"""Values that are quantised at once, so that little memory is taken beside the weights."""


@dataclass(frozen=True)
class Quantised:
    """`values` (N, G, bytes of a block), `scales` (N, G), `zeros` (N, bytes), at 4 bits two a byte.

    `zeros` is None where all are half the range: 128 or 8. `beside` (N, G) is added to all values of a block.
    """

    bits: int

    values: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.uint8] | None = None
    beside: NDArray[np.float32] | None = None


def quantise(rows: NDArray[np.float32], bits: int) -> Quantised:
    """The rows (N, K) at 8 or 4 bits; a last block that K does not fill is filled with zeros."""
    step = max(1, AT_ONCE // rows.shape[1])
    parts = [_quantise(rows[at : at + step], bits) for at in range(0, len(rows), step)]
    return concatenated(parts)


def concatenated(parts: Sequence[Quantised]) -> Quantised:
    """The rows of all, which have the same bits."""
    if len(parts) == 1:
        return parts[0]
    zeros = [_usual_zeros(part) if part.zeros is None else part.zeros for part in parts]
    beside = [np.zeros_like(part.scales) if part.beside is None else part.beside for part in parts]
    return Quantised(
        parts[0].bits,
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.scales for part in parts]),
        None if all(part.zeros is None for part in parts) else np.concatenate(zeros),
        None if all(part.beside is None for part in parts) else np.concatenate(beside),
    )


def _usual_zeros(part: Quantised) -> NDArray[np.uint8]:
    return _held(np.full(part.scales.shape, 2 ** (part.bits - 1), np.float32), part.bits)


def _quantise(rows: NDArray[np.float32], bits: int) -> Quantised:
    n, k = rows.shape
    padded = np.pad(rows, ((0, 0), (0, -k % BLOCK))) if k % BLOCK else rows
    blocks = np.ascontiguousarray(padded, np.float32).reshape(n, -1, BLOCK)
    most = np.float32(2**bits - 1)
    low, high = np.minimum(blocks.min(axis=-1, keepdims=True), 0), np.maximum(blocks.max(axis=-1, keepdims=True), 0)
    best: list[NDArray[Any]] | None = None
    for share in SHARES[bits]:
        scales = ((high - low) * np.float32(share / most)).astype(np.float32)
        divisor = np.where(scales == 0, np.float32(1), scales)
        zeros = np.clip(np.rint(-low * np.float32(share) / divisor), 0, most)
        whole = np.clip(np.rint(blocks / divisor) + zeros, 0, most)
        from_zero = whole - zeros
        # Of these whole numbers, the scale that errs least.
        squares = np.square(from_zero).sum(axis=-1, keepdims=True)
        scales = (from_zero * blocks).sum(axis=-1, keepdims=True) / np.where(squares == 0, np.float32(1), squares)
        error = np.square(from_zero * scales - blocks).sum(axis=-1, keepdims=True)
        if best is None:
            best = [error, scales, zeros, whole]
            continue
        better = error < best[0]
        best = [np.where(better, new, old) for new, old in zip((error, scales, zeros, whole), best, strict=True)]
    assert best is not None
    _, scales, zeros, whole = best
    values = whole.astype(np.uint8)
    zeros = _held(zeros[..., 0], bits)
    return Quantised(bits, values if bits == 8 else _packed(values), scales[..., 0].astype(np.float32), zeros)


def _packed(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two values of 4 bits a byte, the first in the lower half."""
    packed: NDArray[np.uint8] = values[..., ::2] | (values[..., 1::2] << np.uint8(4))
    return packed


def _held(zeros: NDArray[np.float32], bits: int) -> NDArray[np.uint8]:
    if bits == 8:
        return zeros.astype(np.uint8)
    return _packed(np.pad(zeros, ((0, 0), (0, zeros.shape[1] % 2))).astype(np.uint8))


def of_ggml(stored: NDArray[np.uint8], kind: str, bits: int) -> Quantised | None:
    """GGML's blocks (N, bytes of a row) as they are; None where `bits` can't hold them."""
    size = {"Q8_0": 34, "Q4_0": 18, "Q4_1": 20}.get(kind)
    if size is None or (kind == "Q8_0" and bits < 8):
        return None
    blocks = stored.reshape(len(stored), -1, size)
    scales = halves(blocks[..., :2])
    if kind == "Q8_0":
        return Quantised(8, blocks[..., 2:] ^ np.uint8(128), scales)  # signed, and now from 0
    inner = blocks[..., -16:]
    # GGML has the first half of a block in the lower halves of its bytes, the second half in the upper ones.
    values = _packed(np.concatenate([inner & 15, inner >> 4], axis=-1))
    if kind == "Q4_0":
        return Quantised(4, values, scales)
    least = halves(blocks[..., 2:4])
    zeros = np.clip(np.rint(-least / np.where(scales == 0, np.float32(1), scales)), 0, 15)
    return Quantised(4, values, scales, _held(zeros, 4), (least + zeros * scales).astype(np.float32))
