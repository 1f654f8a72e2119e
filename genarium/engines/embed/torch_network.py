"""An encoder's vectors by its network in torch, in batches of texts of like length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.layouts import sentence_head
from genarium.devices import pick_device
from genarium.engines.cpu.batching import by_length, pad
from genarium.models.sentence import SentenceHead
from genarium.models.sentence_config import SentenceConfig


class TorchVectors:
    """`model` is the network; an `EncoderNetwork` (`networks.py`)."""

    def __init__(self, path: Path, device: str | None = None):
        self.device = device or pick_device("auto")
        self.model = layout.load_encoder(path, device=self.device)
        self.config = self.model.config
        self.head = SentenceHead()

    def prepare(self, head: SentenceConfig) -> None:
        self.head = sentence_head.load(head).to(self.device)

    @torch.inference_mode()
    def vectors(
        self,
        rows: Sequence[Sequence[int]],
        layers: Sequence[int],
        *,
        skip: Sequence[int] | None,
        unit: bool,
        told: Callable[[int], None],
    ) -> list[np.ndarray]:
        last = len(self.model.blocks)
        out: list[np.ndarray | None] = [None] * len(layers)
        states: dict[int, torch.Tensor] = {}

        def keep(layer: int) -> Callable[[Any, Any, torch.Tensor], None]:
            return lambda block, inputs, hidden: states.__setitem__(layer, hidden)

        hooks = [self.model.blocks[layer - 1].register_forward_hook(keep(layer)) for layer in layers]
        try:
            done = 0
            for batch in by_length([len(row) for row in rows]):
                tokens, lengths = pad([rows[place] for place in batch], device=self.device)
                self.model(tokens, lengths=lengths)
                left = None if skip is None else torch.tensor([skip[place] for place in batch], device=self.device)
                for number, layer in enumerate(layers):
                    vectors = (self.head if layer == last else self.head.pool)(states[layer], lengths, left)
                    found = (F.normalize(vectors, dim=-1) if unit else vectors).cpu().numpy()
                    if (kept := out[number]) is None:
                        kept = out[number] = np.zeros((len(rows), found.shape[1]), np.float32)
                    kept[batch] = found
                done += len(batch)
                told(done)
        finally:
            for hook in hooks:
                hook.remove()
        return [np.zeros((0, 0), np.float32) if one is None else one for one in out]

    @torch.inference_mode()
    def static(self, pieces: Sequence[int]) -> np.ndarray:
        mean = self.model.embedding(torch.tensor(pieces, device=self.device)).mean(dim=0)
        return F.normalize(mean, dim=-1).cpu().numpy()

    @torch.inference_mode()
    def words(
        self, tokens: Sequence[int], places: Sequence[Sequence[int]]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        ids = torch.tensor([tokens], device=self.device)
        hidden = self.model(ids)[0]
        embedded = [self.model.embedding(ids[0, list(at)]).mean(dim=0) for at in places]
        return [hidden[list(at)].mean(dim=0).cpu().numpy() for at in places], [one.cpu().numpy() for one in embedded]
