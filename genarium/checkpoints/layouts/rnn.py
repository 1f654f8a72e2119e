"""A folder whose `model_type` is "rnn" <-> `models.rnn.RNN`. No published library has one: the layout is Genarium's.

`config.json` says what it says in transformers' words. The tensors are those of `torch.nn.LSTM` or `torch.nn.GRU` under
`rnn.`, with torch's names and order of gates, beside `embedding.weight` and, where that is another matrix,
`head.weight`: whoever has torch can load them as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from genarium.checkpoints.fields.rnn import RNNFields
from genarium.checkpoints.store import folder as folders
from genarium.models.rnn import RNN, RNNConfig

TIED = {"head.weight": "embedding.weight"}


def load(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> RNN:
    """The network in a folder, in evaluation mode.

    Raises BadCheckpoint where a part is missing, damaged, of another shape, not a number, or not known here.
    """
    config = read_config(folders.read_config(path), str(path))
    with torch.device("meta"):
        model = RNN(config)
    stored = folders.read_tensors(path)
    tied = TIED if config.tie_embeddings else {}
    folders.fill(model, lambda name: folders.require(stored, name, path), path, dtype, device, tied=tied)
    stored.refuse_left_over(path)
    model.rnn.flatten_parameters()  # one block, which cuDNN wants
    return model.requires_grad_(False).eval()


def save(model: RNN, path: Path, *, dtype: torch.dtype | None = None, extra: Mapping[str, Any] | None = None) -> None:
    """Write `config.json` and `model.safetensors`. `extra` is added to the config (token ids, say)."""
    weights = next(model.parameters()).dtype if dtype is None else dtype
    tensors = folders.tensors_of(model, weights)
    for name in TIED if model.config.tie_embeddings else ():
        del tensors[name]
    stored_as = {"dtype": str(weights).removeprefix("torch.")}
    folders.write(path, write_config(model.config) | stored_as | dict(extra or {}), tensors)


def read_config(raw: Mapping[str, Any], where: str) -> RNNConfig:
    """Raises BadCheckpoint where the network can't be what `config.json` says."""
    fields = RNNFields.read(raw, where)
    return RNNConfig(
        vocab_size=fields.vocab_size,
        cell=fields.cell_type,
        n_layers=fields.num_hidden_layers,
        hidden_size=fields.hidden_size,
        tie_embeddings=fields.tie_word_embeddings,
        dropout=fields.dropout,
    )


def write_config(config: RNNConfig) -> dict[str, Any]:
    return {
        "model_type": "rnn",
        "cell_type": config.cell,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.n_layers,
        "tie_word_embeddings": config.tie_embeddings,
        "dropout": config.dropout,
    }
