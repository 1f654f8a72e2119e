"""The native encoder engine: texts to vectors, with a BERT, MiniLM, RoBERTa or DistilBERT folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Encoding

from genarium.checkpoints import encoder as layout
from genarium.checkpoints import tokenizer
from genarium.engines.batching import by_length, pad
from genarium.models.encoder import mean_pool
from genarium.progress import emit, note


class NativeEncoder:
    """`tokenizer` and `model` of the folder; a text longer than `context` tokens is read up to there.

    Raises BadCheckpoint.
    """

    def __init__(self, path: Path, *, device: str | None = None):
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.model = layout.load_encoder(path, device=self.device)
        self.tokenizer = tokenizer.load(path)
        self.context = min(self.model.config.context_length, _sentence_length(path))
        self.tokenizer.enable_truncation(self.context)

    @staticmethod
    def opens(config: Mapping[str, Any]) -> bool:
        return config["model_type"] in layout.MODEL_TYPES

    def tokenize(self, texts: Sequence[str]) -> list[Encoding]:
        """Tokens with their character ranges; says how many texts were longer than the context."""
        encodings: list[Encoding] = self.tokenizer.encode_batch(list(texts))
        if cut := sum(bool(encoding.overflowing) for encoding in encodings):
            note(f"{cut} of {len(encodings)} texts are longer than {self.context} tokens and were read up to there")
        return encodings

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """One vector a text, (len(texts), C) float32: the mean of its tokens' states, of length 1."""
        encodings = self.tokenize(texts)
        out = np.zeros((len(texts), self.model.config.d_model), dtype=np.float32)
        done = 0
        for batch in by_length([len(encoding) for encoding in encodings]):
            tokens, lengths = pad([encodings[place].ids for place in batch], device=self.device)
            pooled = mean_pool(self.model(tokens, lengths=lengths), lengths)
            out[batch] = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
            done += len(batch)
            emit("embedding", done, len(texts))
        return out


def _sentence_length(path: Path) -> int:
    """The length sentence-transformers' layout limits texts to, in tokens."""
    try:
        return int(json.loads((path / "sentence_bert_config.json").read_text("utf-8"))["max_seq_length"])
    except (OSError, ValueError, KeyError, TypeError):
        return 10**9
