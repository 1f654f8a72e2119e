"""Heads over an encoder on onnxruntime, in numpy: label scores, and scores of where an answer begins and ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from genarium.checkpoints.layouts import encoder_config as layout
from genarium.engines.backends.onnx.encoder import OnnxEncoder
from genarium.engines.backends.onnx.encoder_weights import EncoderWeights
from genarium.progress import alive


class OnnxClassifier:
    """A `HeadNetwork` (`engines/classify/networks.py`): the network of `models.encoder.TextClassifier`."""

    def __init__(self, path: Path):
        weights = EncoderWeights(path)
        self.config, C = weights.config, weights.config.d_model
        self.head = layout.classifier_head(weights.raw, weights.stored, path)
        self.dense = weights.value("dense.weight", (C, C)), weights.value("dense.bias", (C,))
        n = self.head.n_outputs
        self.out = weights.value("out.weight", (n, C)), weights.value("out.bias", (n,))
        self.network = OnnxEncoder(weights)
        weights.finish()

    def scores(
        self,
        rows: Sequence[Sequence[int]],
        types: Sequence[Sequence[int]] | None,
        *,
        told: Callable[[int], None],
    ) -> np.ndarray:
        out = np.zeros((len(rows), self.head.n_outputs), np.float32)
        for place, row in enumerate(rows):
            alive()
            [hidden] = self.network.states(row, None if types is None else types[place])
            pooled = self.dense[0] @ (hidden[0] if self.head.pool == "first" else hidden.mean(axis=0)) + self.dense[1]
            pooled = np.tanh(pooled) if self.head.activation == "tanh" else np.maximum(pooled, 0)
            out[place] = self.out[0] @ pooled + self.out[1]
            told(place + 1)
        return out


class OnnxSpans:
    """Token ids of texts, and their segment types, to scores (T, 2) of beginning and end at each token of each."""

    def __init__(self, path: Path):
        weights = EncoderWeights(path)
        self.config = weights.config
        layout.require_span_head(weights.stored, path)
        self.weight, self.bias = (
            weights.value("spans.weight", (2, self.config.d_model)),
            weights.value("spans.bias", (2,)),
        )
        self.network = OnnxEncoder(weights)
        weights.finish()

    def __call__(self, rows: Sequence[Sequence[int]], types: Sequence[Sequence[int]] | None = None) -> list[np.ndarray]:
        """Raises IndexError where a text passes the context."""
        found = []
        for place, row in enumerate(rows):
            [hidden] = self.network.states(row, None if types is None else types[place])
            found.append(hidden @ self.weight.T + self.bias)
        return found
