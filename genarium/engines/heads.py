"""Trained heads: a text, or a pair of texts, to one score a label, with a `…ForSequenceClassification` folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from genarium.checkpoints import encoder as layout
from genarium.checkpoints import tokenizer
from genarium.checkpoints.folder import read_config, tensor_names
from genarium.devices import pick_device
from genarium.engines.batching import by_length, pad
from genarium.progress import emit

HEAD = "ForSequenceClassification"


class NativeHead:
    """`labels` in the order of the outputs. A text longer than `context` tokens is read up to there, and counted in
    `n_cut`; of a pair the longer part is cut. Raises BadCheckpoint.
    """

    def __init__(self, path: Path, *, device: str | None = None):
        self.device = device or pick_device("auto")
        self.model = layout.load_classifier(path, device=self.device)
        config = read_config(path)
        self.labels = layout.labels(config)[: self.model.head.n_outputs]
        self.several_labels = config.get("problem_type") == "multi_label_classification"
        self.tokenizer = tokenizer.load(path)
        self.context = self.model.config.context_length
        self.tokenizer.enable_truncation(self.context)
        self.n_cut = 0

    @staticmethod
    def opens(path: Path) -> bool:
        """Whether the folder, or what an adapter adds to its base, has such a head."""
        config = read_config(path)
        other = [name for name in config.get("architectures") or [] if "For" in name and not name.endswith(HEAD)]
        if config["model_type"] not in layout.MODEL_TYPES or other:
            return False
        return any("classifier." in name for name in tensor_names(path))

    @torch.inference_mode()
    def scores(self, texts: Sequence[str] | Sequence[tuple[str, str]], *, tell: bool = True) -> np.ndarray:
        """Scores before any softmax, (len(texts), n_outputs) float32. A pair's second text is of the second type."""
        encodings = self.tokenizer.encode_batch(list(texts))
        self.n_cut += sum(bool(encoding.overflowing) for encoding in encodings)
        out = np.zeros((len(texts), self.model.head.n_outputs), dtype=np.float32)
        done = 0
        for batch in by_length([len(encoding) for encoding in encodings]):
            tokens, lengths = pad([encodings[place].ids for place in batch], device=self.device)
            types = None
            if self.model.config.n_types > 1:
                types, _ = pad([encodings[place].type_ids for place in batch], device=self.device)
            out[batch] = self.model(tokens, lengths=lengths, types=types).cpu().numpy()
            done += len(batch)
            if tell:
                emit("scoring", done, len(texts))
        return out
