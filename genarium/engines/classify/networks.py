"""What computes a trained head's scores: the layout's network in torch, or a graph on onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from genarium.devices import computed_by
from genarium.models.encoder_config import EncoderConfig


class HeadNetwork(Protocol):
    config: EncoderConfig

    def scores(
        self,
        rows: Sequence[Sequence[int]],
        types: Sequence[Sequence[int]] | None,
        *,
        told: Callable[[int], None],
    ) -> np.ndarray:
        """Scores (len(rows), n_outputs) float32 of token ids with segment types; `told` hears how many are done."""


def open(path: Path, backend: str, device: str | None) -> HeadNetwork:
    """Raises BadCheckpoint. `device` is torch's; None is the first GPU, else the CPU."""
    if computed_by(backend, device) == "onnx":
        from genarium.engines.backends.onnx.heads import OnnxClassifier

        return OnnxClassifier(path)
    from genarium.engines.classify.torch_network import TorchClassifier

    return TorchClassifier(path, device)
