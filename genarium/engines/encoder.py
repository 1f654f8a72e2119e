"""The native encoder engine: texts to vectors, with a BERT, MiniLM, RoBERTa or DistilBERT folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Encoding

from genarium.checkpoints import encoder as layout
from genarium.checkpoints import tokenizer
from genarium.devices import pick_device
from genarium.engines.batching import by_length, pad
from genarium.models.encoder import mean_pool
from genarium.progress import emit, note


class NativeEncoder:
    """`tokenizer` and `model` of the folder; a text longer than `context` tokens is read up to there.

    Raises BadCheckpoint.
    """

    def __init__(self, path: Path, *, device: str | None = None):
        self.device = device or pick_device("auto")
        self.model = layout.load_encoder(path, device=self.device)
        self.tokenizer = tokenizer.load(path)
        self.context = min(self.model.config.context_length, _sentence_length(path))
        self.tokenizer.enable_truncation(self.context)
        self.n_cut = 0
        """How many texts were longer than `context` so far."""

    @staticmethod
    def opens(config: Mapping[str, Any]) -> bool:
        return config["model_type"] in layout.MODEL_TYPES

    def tokenize(self, texts: Sequence[str], *, tell: bool = True) -> list[Encoding]:
        """Tokens with their character ranges; says how many texts were longer than the context."""
        encodings: list[Encoding] = self.tokenizer.encode_batch(list(texts))
        cut = sum(bool(encoding.overflowing) for encoding in encodings)
        self.n_cut += cut
        if cut and tell:
            note(f"{cut} of {len(encodings)} texts are longer than {self.context} tokens and were read up to there")
        return encodings

    def embed(self, texts: Sequence[str], *, tell: bool = True) -> np.ndarray:
        """One vector a text, (len(texts), C) float32: the mean of its tokens' states, of length 1.

        Without `tell` the listener hears nothing: the caller counts texts, and those in `n_cut`, itself.
        """
        return self.embed_layers(texts, [len(self.model.blocks)], tell=tell)[:, 0]

    @torch.inference_mode()
    def embed_layers(self, texts: Sequence[str], layers: Sequence[int], *, tell: bool = True) -> np.ndarray:
        """As `embed`, but behind each of `layers` (1 is the first block): (len(texts), len(layers), C) float32."""
        encodings = self.tokenize(texts, tell=tell)
        out = np.zeros((len(texts), len(layers), self.model.config.d_model), dtype=np.float32)
        states: dict[int, torch.Tensor] = {}

        def keep(layer: int) -> Callable[[Any, Any, torch.Tensor], None]:
            return lambda block, inputs, hidden: states.__setitem__(layer, hidden)

        hooks = [self.model.blocks[layer - 1].register_forward_hook(keep(layer)) for layer in layers]
        try:
            done = 0
            for batch in by_length([len(encoding) for encoding in encodings]):
                tokens, lengths = pad([encodings[place].ids for place in batch], device=self.device)
                self.model(tokens, lengths=lengths)
                pooled = torch.stack([mean_pool(states[layer], lengths) for layer in layers], dim=1)
                out[batch] = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
                done += len(batch)
                if tell:
                    emit("embedding", done, len(texts))
        finally:
            for hook in hooks:
                hook.remove()
        return out

    @torch.inference_mode()
    def embed_static(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors that no neighbour can move, (len(texts), C) float32: the mean of its pieces' rows in the embedding
        table, of length 1; zeros for a text without pieces. Positions and the special tokens around are left out.
        """
        out = np.zeros((len(texts), self.model.config.d_model), dtype=np.float32)
        for place, encoding in enumerate(self.tokenize(texts, tell=False)):
            pieces = [i for i, special in zip(encoding.ids, encoding.special_tokens_mask, strict=True) if not special]
            if pieces:
                mean = self.model.embedding(torch.tensor(pieces, device=self.device)).mean(dim=0)
                out[place] = torch.nn.functional.normalize(mean, dim=-1).cpu().numpy()
        return out


def _sentence_length(path: Path) -> int:
    """The length sentence-transformers' layout limits texts to, in tokens."""
    try:
        return int(json.loads((path / "sentence_bert_config.json").read_text("utf-8"))["max_seq_length"])
    except (OSError, ValueError, KeyError, TypeError):
        return 10**9
