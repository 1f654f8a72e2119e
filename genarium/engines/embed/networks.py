"""What computes an encoder's vectors: the layout's network in torch, or a graph on onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from genarium.devices import computed_by
from genarium.models.encoder_config import EncoderConfig
from genarium.models.sentence_config import SentenceConfig


class EncoderNetwork(Protocol):
    """Token ids to vectors. C is the encoder's width, D a vector's."""

    config: EncoderConfig

    def prepare(self, head: SentenceConfig) -> None:
        """Read the modules that make a text's vector of its states. Raises BadCheckpoint."""

    def vectors(
        self,
        rows: Sequence[Sequence[int]],
        layers: Sequence[int],
        *,
        skip: Sequence[int] | None,
        unit: bool,
        told: Callable[[int], None],
    ) -> list[np.ndarray]:
        """For each of `layers` (1 is the first block) the vectors (len(rows), …) float32.

        By the head after the last block, by its pooling alone after the others; at length 1 with `unit`. The first
        `skip` tokens of each row are not pooled. `told` hears how many rows are done.
        """

    def static(self, pieces: Sequence[int]) -> np.ndarray:
        """The mean (C,) of these rows of the embedding table, of length 1."""

    def words(
        self, tokens: Sequence[int], places: Sequence[Sequence[int]]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Of one text, for each list of places: the mean (C,) of its last states, and of its embeddings."""


def open(path: Path, backend: str, device: str | None) -> EncoderNetwork:
    """Raises BadCheckpoint. `device` is torch's; None is the first GPU, else the CPU."""
    if computed_by(backend, device) == "onnx":
        from genarium.engines.backends.onnx.sentence import OnnxVectors

        return OnnxVectors(path)
    from genarium.engines.embed.torch_network import TorchVectors

    return TorchVectors(path, device)
