"""The graph that reads many tokens at once, of the weights that the graph for steps (`graph.py`) was made of.

Many rows share what a matrix costs, so one of 8 bits is restored to float32, used, and let go; products of 4 bits
restore their blocks as they go (`accuracy_level` 0). No input is rounded, so nothing is multiplied twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genarium.engines.backends.onnx import proto
from genarium.engines.backends.onnx.graph import MICROSOFT, Graph
from genarium.engines.backends.onnx.quantise import BLOCK, Quantised

MIDDLE = 128
"""The zero of blocks of 8 bits that name none."""


class ReadingGraph(Graph):
    """Inputs and outputs are those of the graph for steps; B is 1."""

    def quantised_product(
        self, x: str, width: int, name: str, matrix: Quantised, bias: NDArray[np.float32] | None, out: str
    ) -> None:
        if x == "last":  # one row, mostly
            super().quantised_product(x, width, name, matrix, bias, out)
            return
        found, added = [f"{name}.product"], ""
        if bias is not None:
            added = f"{name}.bias"
            self.hold(added, bias)
        if matrix.bits == 8:
            self.restored_product(x, width, name, matrix, found[0])
            found += [added] if added else []
        else:
            self.blocks_product(x, width, name, matrix, found[0], added, accuracy=0)
        if matrix.beside is not None:
            found.append(self.beside(x, width, name, matrix.beside))
        self.node("Sum" if len(found) > 1 else "Identity", found, [out])

    def restored_product(self, x: str, width: int, name: str, matrix: Quantised, out: str) -> None:
        """x (…, K) by the matrix (N, K) in float32."""
        n, blocks = len(matrix.values), matrix.values.shape[1]
        zeros = np.full(n * blocks, MIDDLE, np.uint8) if matrix.zeros is None else matrix.zeros.reshape(-1)
        self.hold(f"{name}.values", matrix.values.reshape(-1, BLOCK))
        self.hold(f"{name}.scales", matrix.scales.reshape(-1))
        self.hold(f"{name}.zeros", zeros)
        self.hold(f"width.{blocks}", np.array([-1, blocks * BLOCK], np.int64))
        # A scale for each row of 32: ten times as fast as the operator's own way of blocks.
        inputs = [f"{name}.{part}" for part in ("values", "scales", "zeros")]
        # First in the list, computed last: at its product. Otherwise onnxruntime restores all matrices before the first
        # product and holds them at once.
        self.nodes[:0] = [
            proto.node("DequantizeLinear", inputs, [f"{name}.restored"], axis=0),
            proto.node("Reshape", [f"{name}.restored", f"width.{blocks}"], [f"{name}.weight"]),
        ]
        self.node("FusedMatMul", [self.filled(x, width), f"{name}.weight"], [out], MICROSOFT, transB=1)
