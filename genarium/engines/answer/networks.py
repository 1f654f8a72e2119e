"""What computes where an answer begins and ends: the layout's network in torch, or a graph on onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genarium.devices import computed_by
from genarium.models.encoder_config import EncoderConfig

Scores = Callable[[Sequence[Sequence[int]], Sequence[Sequence[int]] | None], list[np.ndarray]]
"""Token ids of texts, and their segment types, to scores (T, 2) of beginning and end at each token of each."""


@dataclass(frozen=True)
class SpanNetwork:
    """`fast` is `exact`, or faster and off by a little."""

    config: EncoderConfig
    exact: Scores
    fast: Scores


def open(path: Path, dtype: str, backend: str, device: str | None) -> SpanNetwork:
    """Raises BadCheckpoint. A type that is asked for by name is torch's, where nothing says otherwise."""
    if computed_by(backend if backend != "auto" or dtype == "auto" else "torch", device) == "onnx":
        from genarium.engines.backends.onnx.heads import OnnxSpans

        found = OnnxSpans(path)
        return SpanNetwork(found.config, found, found)
    from genarium.engines.answer import torch_network

    return SpanNetwork(*torch_network.open(path, dtype, device))
