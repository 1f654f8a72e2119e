"""The BERT, DistilBERT and RoBERTa folder layouts <-> `models.encoder`, with and without their published heads.

The published names and shapes are those of transformers' `BertModel`, `DistilBertModel`, `RobertaModel`, their
`…ForSequenceClassification` and `…ForQuestionAnswering`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from genarium.checkpoints.fields.encoder import BY_TYPE, BertFields, DistilBertFields, RobertaFields
from genarium.checkpoints.fields.image_text import BlipTextFields, GitFields
from genarium.checkpoints.store import adapters
from genarium.checkpoints.store import folder as folders
from genarium.checkpoints.store.find import base_of
from genarium.checkpoints.store.tensors import Stored
from genarium.errors import BadCheckpoint, first_line
from genarium.models.encoder import (
    Activation,
    Encoder,
    EncoderConfig,
    HeadConfig,
    QuestionAnsweringModel,
    TextClassifier,
)

M = TypeVar("M", bound=nn.Module)
MODEL_TYPES = ("bert", "distilbert", "roberta")
ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "quick_gelu": "quick_gelu",
}
"""By published name. Which of them a kind of network may have is declared in `fields/`."""
HEADS = (
    r"(cls|lm_head|vocab_transform|vocab_layer_norm|vocab_projector|classifier|pre_classifier|qa_outputs|pooler)\..*"
)
"""Tensors of the heads that published networks may have beside the one that is run."""
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
    raw, stored = _read(path)
    config = read_config(raw, str(path))
    if not any(name.startswith("pooler.") for name in stored):
        config = replace(config, pooler=False)
    with torch.device("meta"):
        model = Encoder(config)
    return _filled(model, stored, raw["model_type"], path, dtype, device)


def load_classifier(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> TextClassifier:
    """A `…ForSequenceClassification` folder. Raises BadCheckpoint, also where it has no such head."""
    raw, stored = _read(path)
    kind = raw["model_type"]
    if CLASSIFIER.get(kind, {}).get("out", "classifier") + ".weight" not in stored:
        raise BadCheckpoint(f"{path} has no classification head; name a checkpoint fine-tuned to classify")
    head = HeadConfig(
        n_outputs=len(labels(raw)),
        pool="mean" if raw.get("classifier_pooling") == "mean" else "first",
        activation="relu" if kind == "distilbert" else "tanh",
    )
    with torch.device("meta"):
        model = TextClassifier(read_config(raw, str(path)), head)
    return _filled(model, stored, kind, path, dtype, device)


def load_question_answering(
    path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> QuestionAnsweringModel:
    """A `…ForQuestionAnswering` folder. Raises BadCheckpoint, also where it has no such head."""
    raw, stored = _read(path)
    if not any(name.startswith("qa_outputs.") for name in stored):
        raise BadCheckpoint(f"{path} has no question-answering head; name a checkpoint fine-tuned on SQuAD")
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


def labels(raw: Mapping[str, Any]) -> list[str]:
    """The label names of a classification checkpoint, in the order of its outputs.

    Raises BadCheckpoint where `id2label` names them by anything but the numbers of the outputs.
    """
    named = raw.get("id2label")
    if isinstance(named, dict) and named:
        if {str(key) for key in named} != {str(number) for number in range(len(named))}:
            raise BadCheckpoint(
                f"config.json numbers its labels {', '.join(map(str, named))}, and outputs are numbered 0 to "
                f"{len(named) - 1}; put id2label right"
            )
        return [str(named[key]) for key in sorted(named, key=int)]
    return [f"LABEL_{i}" for i in range(raw.get("num_labels") or 2)]


def described(path: Path) -> dict[str, Any]:
    """The folder's `config.json` with the labels of its own head.

    An adapter that brings a head does not have its base's labels: those of its own `config.json` count, and where it
    has none, or another number, they are numbered (LABEL_0, …), as another program's adapters leave them unnamed.
    """
    raw = folders.read_config(path)
    if not adapters.is_adapter(path):
        return raw
    n_outputs = adapter_outputs(path, raw["model_type"])
    own = (path / "config.json").is_file() and raw.get("id2label")
    if n_outputs is None or (own and len(labels(raw)) == n_outputs):
        return raw
    return {k: v for k, v in raw.items() if k not in ("id2label", "label2id")} | {"num_labels": n_outputs}


def adapter_outputs(path: Path, kind: str) -> int | None:
    """How many outputs the classification head has that an adapter brings; None where it brings none."""
    from safetensors import SafetensorError, safe_open

    out = CLASSIFIER.get(kind, CLASSIFIER["bert"])["out"] + ".weight"
    try:
        with safe_open(path / adapters.WEIGHTS, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - not a dict
                if name.removeprefix(adapters.PREFIX).replace("modules_to_save.default.", "") == out:
                    return int(opened.get_slice(name).get_shape()[0])
    except (SafetensorError, OSError, ValueError) as error:
        raise BadCheckpoint(
            f"{path / adapters.WEIGHTS} is damaged or missing ({first_line(error)}); download it again"
        ) from None
    return None


def label_names(names: Sequence[str]) -> dict[str, Any]:
    """The label names as a published `config.json` has them."""
    return {
        "id2label": {str(number): name for number, name in enumerate(names)},
        "label2id": {name: number for number, name in enumerate(names)},
    }


def has_classifier(path: Path) -> bool:
    raw, stored = _read(path)
    return CLASSIFIER.get(raw["model_type"], CLASSIFIER["bert"])["out"] + ".weight" in stored


def has_span_head(path: Path) -> bool:
    return any(name.startswith("qa_outputs.") for name in _read(path)[1])


def of_fields(fields: BertFields | BlipTextFields | GitFields, **more: Any) -> EncoderConfig:
    """What a published config of BERT's names describes; `more` is what each kind of network has its own way for."""
    return EncoderConfig(
        vocab_size=fields.vocab_size,
        n_layers=fields.num_hidden_layers,
        n_heads=fields.num_attention_heads,
        d_model=fields.hidden_size,
        d_ff=fields.intermediate_size,
        norm_eps=fields.layer_norm_eps,
        activation=ACTIVATIONS[fields.hidden_act],
        **more,
    )


def read_config(raw: Mapping[str, Any], where: str) -> EncoderConfig:
    """The `EncoderConfig` a published `config.json` describes; BadCheckpoint where this network can't be it."""
    kind = raw.get("model_type")
    if kind not in MODEL_TYPES:
        raise BadCheckpoint(
            f"{where}: model_type {kind!r} is not one the native encoder can be; it can be {', '.join(MODEL_TYPES)}"
        )
    fields = BY_TYPE[kind].read(raw, where)
    if isinstance(fields, DistilBertFields):
        config = EncoderConfig(
            vocab_size=fields.vocab_size,
            context_length=fields.max_position_embeddings,
            n_types=0,
            n_layers=fields.n_layers,
            n_heads=fields.n_heads,
            d_model=fields.dim,
            d_ff=fields.hidden_dim,
            activation=ACTIVATIONS[fields.activation],
            dropout=fields.dropout,
            pooler=False,
        )
    else:
        first = fields.pad_token_id + 1 if isinstance(fields, RobertaFields) else 0
        config = of_fields(
            fields,
            context_length=fields.max_position_embeddings - first,
            n_types=fields.type_vocab_size,
            first_position=first,
            dropout=fields.hidden_dropout_prob,
        )
    if config.d_model % config.n_heads or config.context_length < 1:
        raise BadCheckpoint(
            f"{where}: config.json has width {config.d_model}, {config.n_heads} heads and {config.context_length} "
            "positions, which is no network; download the folder again"
        )
    return config


def write_config(config: EncoderConfig, layout: str) -> dict[str, Any]:
    """The `config.json` of a published layout."""
    activation = {"gelu_tanh": "gelu_new"}.get(config.activation, config.activation)
    common = {"model_type": layout, "vocab_size": config.vocab_size}
    if layout == "distilbert":
        return common | {
            "max_position_embeddings": config.context_length,
            "n_layers": config.n_layers,
            "n_heads": config.n_heads,
            "dim": config.d_model,
            "hidden_dim": config.d_ff,
            "activation": activation,
            "dropout": config.dropout,
            "attention_dropout": 0.0,
            "pad_token_id": 0,
        }
    return common | {
        "max_position_embeddings": config.first_position + config.context_length,
        "type_vocab_size": config.n_types,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "layer_norm_eps": config.norm_eps,
        "hidden_act": activation,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": 0.0,
        "position_embedding_type": "absolute",
        "pad_token_id": config.first_position - 1 if layout == "roberta" else 0,
    }


# Native name -> published names. BERT's and RoBERTa's are the same but for the head.
BERT_BLOCK = {
    "attention.qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention.out": ("attention.output.dense",),
    "attention_norm": ("attention.output.LayerNorm",),
    "mlp.up": ("intermediate.dense",),
    "mlp.down": ("output.dense",),
    "mlp_norm": ("output.LayerNorm",),
}
DISTILBERT_BLOCK = {
    "attention.qkv": ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    "attention.out": ("attention.out_lin",),
    "attention_norm": ("sa_layer_norm",),
    "mlp.up": ("ffn.lin1",),
    "mlp.down": ("ffn.lin2",),
    "mlp_norm": ("output_layer_norm",),
}
TOP = {
    "embedding": "embeddings.word_embeddings",
    "position_embedding": "embeddings.position_embeddings",
    "type_embedding": "embeddings.token_type_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
    "pooler": "pooler.dense",
    "spans": "qa_outputs",
}
CLASSIFIER = {
    "bert": {"dense": "pooler.dense", "out": "classifier"},
    "distilbert": {"dense": "pre_classifier", "out": "classifier"},
    "roberta": {"dense": "classifier.dense", "out": "classifier.out_proj"},
}


def published_names(name: str, layout: str) -> list[str]:
    """The published tensors that together, one under the other, are a native one."""
    module, _, leaf = name.rpartition(".")
    module = module.removeprefix("encoder.")
    if module.startswith("blocks."):
        _, index, inner = module.split(".", 2)
        block, stem = (DISTILBERT_BLOCK, "transformer") if layout == "distilbert" else (BERT_BLOCK, "encoder")
        return [f"{stem}.layer.{index}.{part}.{leaf}" for part in block[inner]]
    return [f"{TOP.get(module) or CLASSIFIER[layout].get(module)}.{leaf}"]


def _read(path: Path) -> tuple[dict[str, Any], Stored]:
    """Config and tensors, by their names without the model's prefix; the first BERTs' gamma and beta renamed.

    An adapter folder is read as its base with the adapter merged.
    """
    raw = described(path)
    prefix = f"{raw['model_type']}."
    if adapters.is_adapter(path):
        return raw, adapters.merged(path, _read(base_of(path))[1], prefix)

    def plain(name: str) -> str:
        return re.sub(r"LayerNorm\.(gamma|beta)$", _of_norm, name.removeprefix(prefix))

    return raw, folders.read_tensors(path).renamed(plain, path)


def _of_norm(name: re.Match[str]) -> str:
    return "LayerNorm.weight" if name[1] == "gamma" else "LayerNorm.bias"


def _filled(model: M, stored: Stored, layout: str, path: Path, dtype: torch.dtype, device: str) -> M:
    def fetch(name: str) -> Tensor:
        return folders.stacked(stored, published_names(name, layout), path)

    folders.fill(model, fetch, path, dtype, device)
    stored.refuse_left_over(path, [HEADS])
    return model.requires_grad_(False).eval()
