"""An encoder on an onnxruntime session: the states of one text at a time, so that none depends on the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genarium.checkpoints.store.ggml import Blocks
from genarium.engines.backends.onnx import session
from genarium.engines.backends.onnx.encoder_graph import EncoderGraph
from genarium.engines.backends.onnx.encoder_weights import EncoderWeights
from genarium.models.encoder_config import EncoderConfig


class OnnxEncoder:
    """The network of `weights`, in float32."""

    def __init__(self, weights: EncoderWeights):
        self.config: EncoderConfig = weights.config
        graph = EncoderGraph(weights)
        self.arrays = graph.arrays  # the session reads the weights where they are
        self.embedding = graph.words
        self.session: Any = session.open(graph.model, graph.arrays, weights.path)

    def states(
        self, tokens: Sequence[int], types: Sequence[int] | None = None, layers: Sequence[int] = ()
    ) -> list[NDArray[np.float32]]:
        """After each of `layers` (1 is the first block; the last where none is named), the states (T, C) of a text.

        Raises IndexError where it passes the context.
        """
        c = self.config
        if len(tokens) > c.context_length:
            raise IndexError(f"{len(tokens)} positions exceed the context of {c.context_length}")
        ids = np.array(tokens, np.int64)
        given: dict[str, NDArray[Any]] = {"positions": positions(ids, c.first_position)}
        given |= {"embedded": self.rows(ids)} if isinstance(self.embedding, Blocks) else {"tokens": ids}
        if c.n_types:
            given["types"] = np.zeros_like(ids) if types is None else np.array(types, np.int64)
        wanted = [f"state{layer}" for layer in layers or [c.n_layers]]
        found: list[NDArray[np.float32]] = self.session.run(wanted, given)
        return found

    def rows(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows (T, C) of the embedding table."""
        table = self.embedding
        return table.rows(tokens) if isinstance(table, Blocks) else table[tokens]


def positions(tokens: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    """The rows of the position table that tokens (T,) are at, as `models.encoder.Encoder.positions` has them."""
    if not first:
        return np.arange(len(tokens))
    counted = (tokens != first - 1).astype(np.int64)
    return counted.cumsum() * counted + first - 1


def load(path: Path) -> OnnxEncoder:
    """The network below any head. Raises BadCheckpoint."""
    weights = EncoderWeights(path)
    if weights.config.pooler:
        for leaf, shape in (("weight", (weights.config.d_model,) * 2), ("bias", (weights.config.d_model,))):
            weights.value(f"pooler.{leaf}", shape)  # checked as the other tensors are, though nothing uses it
    made = OnnxEncoder(weights)
    weights.finish()
    return made
