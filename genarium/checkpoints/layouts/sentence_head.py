"""The modules that a sentence-transformers folder has after its encoder, as a network in torch."""

from __future__ import annotations

import torch
from torch import nn

from genarium.checkpoints.store import folder as folders
from genarium.models.sentence import Dense, LayerNorm, Normalize, SentenceHead
from genarium.models.sentence_config import SentenceConfig, VectorLayer

ACTIVATIONS = {
    "identity": nn.Identity,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
}


def load(config: SentenceConfig) -> SentenceHead:
    """What the config describes, with its tensors. Raises BadCheckpoint."""
    return SentenceHead(config.poolings, [_layer(one) for one in config.layers]).requires_grad_(False).eval()


def _layer(config: VectorLayer) -> nn.Module:
    where = config.folder
    if where is None:
        return Normalize()
    with torch.device("meta"):
        if config.kind == "dense":
            activation = ACTIVATIONS[config.activation]()
            layer: nn.Module = Dense(config.d_in, config.d_out, bias=config.bias, activation=activation)
        else:
            layer = LayerNorm(config.d_in)
    stored = folders.read_tensors(where)
    folders.fill(layer, lambda name: folders.require(stored, name, where), where, torch.float32, "cpu")
    return layer
