"""Scores of where an answer begins and ends in torch: texts laid end to end, in bfloat16 where that is faster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from genarium.checkpoints.layouts import encoder as layout
from genarium.devices import compute_dtype, cpu_bfloat16, pick_device
from genarium.engines.cpu.packed import PackedEncoder
from genarium.models.encoder_config import EncoderConfig

NARROW = 256  # widths below gain nothing from bfloat16


class TorchSpans:
    """`Scores` (`networks.py`) of a packed encoder and the layer over it."""

    def __init__(self, encoder: PackedEncoder, head: nn.Module):
        self.encoder, self.head = encoder, head

    @torch.inference_mode()
    def __call__(self, rows: Sequence[Sequence[int]], types: Sequence[Sequence[int]] | None = None) -> list[np.ndarray]:
        return [self.head(hidden).float().cpu().numpy() for hidden in self.encoder(rows, types)]


def open(path: Path, dtype: str, device: str | None) -> tuple[EncoderConfig, TorchSpans, TorchSpans]:
    """The network's config, and what is exact and what is fast. Raises BadCheckpoint."""
    device = device or pick_device("auto")
    model = layout.load_question_answering(path, device=device)
    gains = (device != "cpu" or cpu_bfloat16() == "native") and model.config.d_model >= NARROW
    fast = compute_dtype(dtype, device, auto=torch.bfloat16 if gains else torch.float32)
    exact = TorchSpans(PackedEncoder(model.encoder, torch.float32), model.spans)
    made = exact
    if fast == torch.bfloat16:
        made = TorchSpans(PackedEncoder(model.encoder, fast), model.spans)
    # The plain matrices are not needed beside the packed ones.
    model.encoder.blocks = nn.ModuleList()
    return model.config, exact, made
