"""An encoder's vectors on onnxruntime: pooling and the modules after it in numpy, as `models/sentence.py` has them.

Each text is computed by itself, so that its vector is the same to the bit whatever it is embedded with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genarium.checkpoints.store import arrays
from genarium.engines.backends.onnx import encoder
from genarium.engines.backends.onnx.encoder_weights import checked
from genarium.models.sentence_config import Pooling, SentenceConfig, VectorLayer
from genarium.progress import alive

Vector = NDArray[np.float32]


class OnnxVectors:
    """An `EncoderNetwork` (`engines/embed/networks.py`)."""

    def __init__(self, path: Path):
        self.network = encoder.load(path)
        self.config = self.network.config
        self.prepare(SentenceConfig())

    def prepare(self, head: SentenceConfig) -> None:
        self.poolings = head.poolings
        self.layers = [_Layer.read(layer) for layer in head.layers]

    def vectors(
        self,
        rows: Sequence[Sequence[int]],
        layers: Sequence[int],
        *,
        skip: Sequence[int] | None,
        unit: bool,
        told: Callable[[int], None],
    ) -> list[np.ndarray]:
        found: list[list[Vector]] = [[] for _ in layers]
        for place, row in enumerate(rows):
            alive()
            states = self.network.states(row, layers=layers)
            for layer, hidden, vectors in zip(layers, states, found, strict=True):
                vector = self._vector(hidden, 0 if skip is None else skip[place], last=layer == self.config.n_layers)
                vectors.append(unit_length(vector) if unit else vector)
            told(place + 1)
        return [np.stack(vectors) if vectors else np.zeros((0, 0), np.float32) for vectors in found]

    def _vector(self, hidden: Vector, skip: int, *, last: bool) -> Vector:
        vector = np.concatenate([pooled(mode, hidden, skip) for mode in self.poolings])
        for layer in self.layers if last else ():
            vector = layer(vector)
        return vector

    def static(self, pieces: Sequence[int]) -> np.ndarray:
        return unit_length(self.network.rows(np.array(pieces)).mean(axis=0))

    def words(
        self, tokens: Sequence[int], places: Sequence[Sequence[int]]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        [hidden], ids = self.network.states(tokens), np.array(tokens)
        static = [self.network.rows(ids[list(at)]).mean(axis=0) for at in places]
        return [hidden[list(at)].mean(axis=0) for at in places], static


def unit_length(vector: Vector) -> Vector:
    return vector / max(np.float32(np.linalg.norm(vector)), np.float32(1e-12))


def pooled(mode: Pooling, hidden: Vector, skip: int = 0) -> Vector:
    """One text's states (T, C) as one vector (C,), without its first `skip`; `cls` is the first one all the same."""
    if mode == "cls":
        return hidden[0]
    real = hidden[skip:]
    if mode == "max":
        return real.max(axis=0) if len(real) else np.full(hidden.shape[1], -1e9, np.float32)
    if mode == "lasttoken":
        return hidden[-1] * np.float32(len(real) > 0)
    weights = np.ones(len(real), np.float32)
    if mode == "weightedmean":
        weights = np.arange(skip + 1, len(hidden) + 1, dtype=np.float32)
    total = max(float(weights.sum()), 1e-9)
    summed = (real * weights[:, None]).sum(axis=0)
    return summed / np.float32(math.sqrt(total) if mode == "mean_sqrt_len_tokens" else total)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Layer:
    """A module after the pooling, of one vector (d_in,) to (d_out,)."""

    config: VectorLayer
    weight: Vector | None = None
    bias: Vector | None = None

    @classmethod
    def read(cls, config: VectorLayer) -> _Layer:
        where = config.folder
        if where is None:
            return cls(config)
        stored, stem = arrays.read(where), "linear" if config.kind == "dense" else "norm"
        shape = (config.d_out, config.d_in) if config.kind == "dense" else (config.d_in,)
        weight = checked(stored, f"{stem}.weight", shape, where)
        return cls(config, weight, checked(stored, f"{stem}.bias", (config.d_out,), where) if config.bias else None)

    def __call__(self, vector: Vector) -> Vector:
        if self.weight is None:
            return unit_length(vector)
        if self.config.kind == "layernorm":
            centred = vector - vector.mean()
            vector = centred / np.sqrt(np.square(centred).mean() + np.float32(1e-5)) * self.weight
        else:
            vector = self.weight @ vector
        if self.bias is not None:
            vector = vector + self.bias
        return activated(vector, self.config.activation)


def activated(x: Vector, name: str) -> Vector:
    """What torch's modules of these names do."""
    if name == "identity":
        return x
    if name == "tanh":
        return np.tanh(x)
    if name == "relu":
        return np.maximum(x, 0)
    if name == "gelu":
        return x * np.array([0.5 * (1 + math.erf(one / math.sqrt(2))) for one in x.tolist()], np.float32)
    sigmoid = np.float32(0.5) * (np.tanh(x * np.float32(0.5)) + 1)
    return x * sigmoid if name == "silu" else sigmoid
