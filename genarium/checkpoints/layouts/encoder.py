"""The BERT, DistilBERT and RoBERTa folder layouts <-> `models.encoder`, with and without their published heads.

The published names and shapes are those of transformers' `BertModel`, `DistilBertModel`, `RobertaModel`, their
`…ForSequenceClassification` and `…ForQuestionAnswering`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from genarium.checkpoints.layouts.encoder_config import (
    classifier_head,
    label_names,
    read,
    read_config,
    require_span_head,
    write_config,
)
from genarium.checkpoints.layouts.encoder_names import HEADS, published_names
from genarium.checkpoints.store import folder as folders
from genarium.checkpoints.store.tensors import Stored
from genarium.errors import BadCheckpoint
from genarium.models.encoder import Encoder, QuestionAnsweringModel, TextClassifier

M = TypeVar("M", bound=nn.Module)
CLASS_NAMES = {"bert": "Bert", "distilbert": "DistilBert", "roberta": "Roberta"}
HEAD_NAMES = {
    Encoder: "Model",
    TextClassifier: "ForSequenceClassification",
    QuestionAnsweringModel: "ForQuestionAnswering",
}
HEAD_MODULES = {TextClassifier: ("dense", "out"), QuestionAnsweringModel: ("spans",)}
"""What is new for a task, in a network that was an encoder before."""
TASK_TYPES = {TextClassifier: "SEQ_CLS", QuestionAnsweringModel: "QUESTION_ANS"}
"""What PEFT calls the task of a head."""


def pools_by_mean(model: Encoder | TextClassifier | QuestionAnsweringModel) -> bool:
    """Whether it has a head over the mean of all tokens, which no published network has."""
    return isinstance(model, TextClassifier) and model.head.pool == "mean"


def load_encoder(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Encoder:
    """The network below any head. Raises BadCheckpoint where a part is missing, damaged or of another shape."""
    raw, stored = read(path, folders.read_tensors)
    config = read_config(raw, str(path))
    if not any(name.startswith("pooler.") for name in stored):
        config = replace(config, pooler=False)
    with torch.device("meta"):
        model = Encoder(config)
    return _filled(model, stored, raw["model_type"], path, dtype, device)


def load_classifier(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> TextClassifier:
    """A `…ForSequenceClassification` folder. Raises BadCheckpoint, also where it has no such head."""
    raw, stored = read(path, folders.read_tensors)
    head = classifier_head(raw, stored, path)
    with torch.device("meta"):
        model = TextClassifier(read_config(raw, str(path)), head)
    return _filled(model, stored, raw["model_type"], path, dtype, device)


def load_question_answering(
    path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> QuestionAnsweringModel:
    """A `…ForQuestionAnswering` folder. Raises BadCheckpoint, also where it has no such head."""
    raw, stored = read(path, folders.read_tensors)
    require_span_head(stored, path)
    with torch.device("meta"):
        model = QuestionAnsweringModel(read_config(raw, str(path)))
    return _filled(model, stored, raw["model_type"], path, dtype, device)


def save(
    model: Encoder | TextClassifier | QuestionAnsweringModel,
    path: Path,
    *,
    layout: str = "bert",
    dtype: torch.dtype | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write `config.json` and `model.safetensors` in the layout of `bert`, `distilbert` or `roberta`.

    `extra` is added to the config (label names, say). Raises BadCheckpoint where the layout has no place for a part.
    """
    config = model.config
    if layout == "distilbert" and (config.n_types or (isinstance(model, Encoder) and config.pooler)):
        raise BadCheckpoint("DistilBERT's layout has no segment types and no pooler; save as bert")
    if isinstance(model, TextClassifier) and model.head.pool != "first":
        raise BadCheckpoint("no published layout has a classification head over the mean; save it as an adapter")
    weights = next(model.parameters()).dtype if dtype is None else dtype
    prefix = "" if isinstance(model, Encoder) else f"{layout}."
    tensors: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        names = published_names(name, layout)
        for part, piece in zip(names, tensor.detach().to("cpu", weights).chunk(len(names)), strict=True):
            head = part.startswith(("classifier.", "pre_classifier.", "qa_outputs."))
            tensors[part if head else prefix + part] = piece.contiguous().clone()
    described = write_config(config, layout) | {
        "architectures": [CLASS_NAMES[layout] + HEAD_NAMES[type(model)]],
        "dtype": str(weights).removeprefix("torch."),
    }
    if isinstance(model, TextClassifier):
        described |= label_names([f"LABEL_{i}" for i in range(model.head.n_outputs)])
    folders.write(path, described | dict(extra or {}), tensors)


def _filled(model: M, stored: Stored, layout: str, path: Path, dtype: torch.dtype, device: str) -> M:
    def fetch(name: str) -> Tensor:
        return folders.stacked(stored, published_names(name, layout), path)

    folders.fill(model, fetch, path, dtype, device)
    stored.refuse_left_over(path, [HEADS])
    return model.requires_grad_(False).eval()
