"""A trained head's scores by its network in torch, in batches of texts of like length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from genarium.checkpoints.layouts import encoder as layout
from genarium.devices import pick_device
from genarium.engines.cpu.batching import by_length, pad


class TorchClassifier:
    """A `HeadNetwork` (`networks.py`)."""

    def __init__(self, path: Path, device: str | None = None):
        self.device = device or pick_device("auto")
        self.model = layout.load_classifier(path, device=self.device)
        self.config = self.model.config

    @torch.inference_mode()
    def scores(
        self,
        rows: Sequence[Sequence[int]],
        types: Sequence[Sequence[int]] | None,
        *,
        told: Callable[[int], None],
    ) -> np.ndarray:
        out = np.zeros((len(rows), self.model.head.n_outputs), dtype=np.float32)
        done = 0
        for batch in by_length([len(row) for row in rows]):
            tokens, lengths = pad([rows[place] for place in batch], device=self.device)
            kinds = None if types is None else pad([types[place] for place in batch], device=self.device)[0]
            out[batch] = self.model(tokens, lengths=lengths, types=kinds).cpu().numpy()
            done += len(batch)
            told(done)
        return out
