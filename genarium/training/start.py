"""What training begins with: a published encoder, or one with a head already, and what of it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.layouts import encoder_config
from genarium.checkpoints.store.find import Found, find
from genarium.conditioning.prompts import PromptEncoder
from genarium.errors import BadInput
from genarium.models.encoder import QuestionAnsweringModel, TextClassifier, initialise
from genarium.models.encoder_config import HeadConfig
from genarium.training.adapters import add_lora, head_names

Way = Literal["lora", "head-only", "full"]
CONTEXT = 32
"""Tokens that are read of a caption by what draws."""


def local(reference: str, *, default: str, kind: str) -> tuple[Path, Found]:
    """Where a model is, and how it is found again. Raises BadInput, which asks for `kind`, where it is not here."""
    found = find(reference, default=default)
    if found.path is None:
        raise BadInput(f"{reference} is behind an endpoint; name {kind} that is on this machine")
    return found.path, found


def prompts(reference: str, *, device: str) -> tuple[PromptEncoder, str]:
    """The frozen encoder that captions enter through, and the digest of its files. Raises BadInput."""
    path, found = local(reference, default="encoder", kind="an encoder")
    return PromptEncoder(path, context=CONTEXT, device=device), str(found.digest)


def classifier(path: Path, labels: Sequence[str], *, pool: Literal["first", "mean"]) -> TextClassifier:
    """A classifier over the encoder in `path`, with one output where there are no labels, to rank.

    One that is a classifier already keeps its head where its labels are these, its outputs in their order. With
    others it gets a new last layer and keeps the rest: a 1,000-way head becomes a 3-way one.
    """
    n_outputs = len(labels) or 1
    raw = encoder_config.described(path)
    kind = raw["model_type"]
    if encoder_config.has_classifier(path):
        model = layout.load_classifier(path)
        own = encoder_config.labels(raw)
        if len(set(own)) == len(own) and sorted(own) == sorted(labels):
            order = [own.index(label) for label in labels]
            with torch.no_grad():
                model.out.weight.copy_(model.out.weight[order].clone())
                model.out.bias.copy_(model.out.bias[order].clone())
        elif labels or model.head.n_outputs != 1:
            head = HeadConfig(n_outputs, model.head.pool, model.head.activation, model.head.dropout)
            fresh = nn.Linear(model.config.d_model, n_outputs)
            initialise(fresh)
            model.head, model.out = head, fresh
        return model
    encoder = layout.load_encoder(path)
    model = TextClassifier(
        encoder.config, HeadConfig(n_outputs, pool=pool, activation="relu" if kind == "distilbert" else "tanh")
    )
    _take_weights(model.encoder, encoder)
    if encoder.config.pooler:  # BERT's own dense layer, trained with it, rather than a random one
        model.dense.load_state_dict(encoder.pooler.state_dict())
    return model


def question_answering(path: Path) -> QuestionAnsweringModel:
    """A reader over the encoder in `path`, with its span layer where it has one."""
    if encoder_config.has_span_head(path):
        return layout.load_question_answering(path)
    encoder = layout.load_encoder(path)
    model = QuestionAnsweringModel(encoder.config)
    _take_weights(model.encoder, encoder)
    return model


def _take_weights(target: nn.Module, source: nn.Module) -> None:
    target.load_state_dict({k: v for k, v in source.state_dict().items() if not k.startswith("pooler.")})


def choose_trained(
    model: TextClassifier | QuestionAnsweringModel, way: Way, *, rank: int, alpha: float, targets: Sequence[str]
) -> None:
    """Freeze what is not trained, and put adapters in where they are."""
    model.requires_grad_(way == "full")
    for name in head_names(model):
        model.get_submodule(name).requires_grad_(True)
    if way == "lora":
        add_lora(model.encoder, rank=rank, alpha=alpha, targets=targets)
