"""Trained heads: a text, or a pair of texts, to one score a label, with a `…ForSequenceClassification` folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genarium.checkpoints.layouts import encoder_config as layout
from genarium.checkpoints.processors import tokenizer, tokenizer_config
from genarium.checkpoints.store import adapters, find
from genarium.checkpoints.store.folder import read_config, tensor_names
from genarium.engines.classify import networks
from genarium.progress import emit

HEAD = "ForSequenceClassification"


class NativeHead:
    """`labels` in the order of the outputs. A text longer than `context` tokens is read up to there, and counted in
    `n_cut`; of a pair the longer part is cut. Raises BadCheckpoint.
    """

    def __init__(self, path: Path, *, backend: str = "auto", device: str | None = None):
        self.network = networks.open(path, backend, device)
        config = layout.described(path)
        self.labels = layout.labels(config)
        self.problem = config.get("problem_type") or "single_label_classification"
        self.tokenizer = tokenizer.load(path, self.network.config.vocab_size)
        cutting = tokenizer_config.read(tokenizer.folder_of(path))
        longest = self.network.config.context_length
        self.context = min(longest, cutting.max_length or longest)
        self.tokenizer.enable_truncation(self.context, direction=cutting.truncation_side)
        self.n_cut = 0

    @staticmethod
    def opens(path: Path) -> bool:
        """Whether the folder, or what an adapter adds to its base, has such a head."""
        config = read_config(path)
        if config["model_type"] not in layout.MODEL_TYPES:
            return False
        brings = False
        if adapters.is_adapter(path):
            brings = layout.adapter_outputs(path, config["model_type"]) is not None
            task = adapters.read_config(path).task_type
            if task not in (None, "SEQ_CLS", "FEATURE_EXTRACTION"):
                return False
            if brings and not (path / "config.json").is_file():
                return True  # whatever head, or none, its base has
        other = [name for name in config.get("architectures") or [] if "For" in name and not name.endswith(HEAD)]
        where = path if brings or not adapters.is_adapter(path) else find.base_of(path)
        return not other and any("classifier." in name for name in tensor_names(where))

    def scores(self, texts: Sequence[str] | Sequence[tuple[str, str]], *, tell: bool = True) -> np.ndarray:
        """Scores before any softmax, (len(texts), n_outputs) float32. A pair's second text is of the second type."""
        encodings = self.tokenizer.encode_batch(list(texts))
        self.n_cut += sum(bool(encoding.overflowing) for encoding in encodings)

        def told(done: int) -> None:
            if tell:
                emit("scoring", done, len(texts))

        types = [encoding.type_ids for encoding in encodings] if self.network.config.n_types > 1 else None
        return self.network.scores([encoding.ids for encoding in encodings], types, told=told)
