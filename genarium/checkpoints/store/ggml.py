"""Numbers as checkpoints store them, floats and GGML's blocks, restored to float32. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOATS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True)
class Blocks:
    """Rows as a checkpoint stores them: `stored` (N, bytes of a row) in GGML's `kind`, restored when they are read."""

    stored: NDArray[np.uint8]
    kind: str

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Those of numbers (...): (..., K) in float32."""
        return restored(self.stored[numbers.reshape(-1)], self.kind).reshape(*numbers.shape, -1)

    def scales(self) -> NDArray[np.float32]:
        """Of each block the float16 it begins with, as in Q4_0 and Q8_0: (N, G) in float32."""
        return halves(self.stored.reshape(len(self.stored), -1, {"Q4_0": 18, "Q8_0": 34}[self.kind])[..., :2])

    def values(self) -> NDArray[np.float32]:
        """All (N, K) in float32."""
        return restored(self.stored, self.kind)


def restored(stored: NDArray[np.uint8], kind: str) -> NDArray[np.float32]:
    """The values (N, K) of rows as a checkpoint stores them, (N, bytes of a row) in GGML's `kind`."""
    if kind in FLOATS:
        values = np.ascontiguousarray(stored).view(FLOATS[kind])
        return of_bfloat16(values) if kind == "BF16" else values.astype(np.float32, copy=False)
    if kind == "Q8_0":  # as the package `gguf` does it, whose import takes longer than a step
        blocks = stored.reshape(len(stored), -1, 34)
        with np.errstate(all="ignore"):  # whoever fills a network looks for what is no number
            whole = np.ascontiguousarray(blocks[..., 2:]).view(np.int8) * halves(blocks[..., :2])[..., None]
        return whole.reshape(len(stored), -1)
    if kind == "Q4_0":  # the first half of a block in the lower halves of its bytes
        blocks = stored.reshape(len(stored), -1, 18)
        both = np.concatenate([blocks[..., 2:] & np.uint8(15), blocks[..., 2:] >> np.uint8(4)], axis=-1)
        with np.errstate(all="ignore"):
            whole = (both.view(np.int8) - np.int8(8)) * halves(blocks[..., :2])[..., None]
        return whole.reshape(len(stored), -1)
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import dequantize

    with np.errstate(all="ignore"):
        return dequantize(np.ascontiguousarray(stored), GGMLQuantizationType[kind]).astype(np.float32)


def of_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """bfloat16, whose bits are the upper half of float32's."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def halves(stored: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The float16 (...) that lie in two bytes each (..., 2)."""
    return np.ascontiguousarray(stored).view("<f2")[..., 0].astype(np.float32)
