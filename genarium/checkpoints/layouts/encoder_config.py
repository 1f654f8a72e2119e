"""`config.json` of the BERT family <-> `models.encoder_config.EncoderConfig`, and its heads and labels. No torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium.checkpoints.fields.encoder import BY_TYPE, BertFields, DistilBertFields, RobertaFields
from genarium.checkpoints.layouts.encoder_names import CLASSIFIER
from genarium.checkpoints.store import adapters
from genarium.checkpoints.store import folder as folders
from genarium.checkpoints.store.find import base_of
from genarium.checkpoints.store.tensors import Stored
from genarium.errors import BadCheckpoint, first_line
from genarium.models.encoder_config import Activation, EncoderConfig, HeadConfig

if TYPE_CHECKING:
    from genarium.checkpoints.fields.image_text import BlipTextFields, GitFields

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
        with safe_open(path / adapters.WEIGHTS, "np") as opened:
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
    kind = folders.read_config(path)["model_type"]
    return CLASSIFIER.get(kind, CLASSIFIER["bert"])["out"] + ".weight" in tensor_names(path)


def has_span_head(path: Path) -> bool:
    return any(name.startswith("qa_outputs.") for name in tensor_names(path))


def tensor_names(path: Path) -> set[str]:
    """The names of a folder's tensors without the model's prefix, an adapter's and its base's together."""
    prefix = f"{folders.read_config(path)['model_type']}."
    names = {
        name.removeprefix(adapters.PREFIX).removeprefix(prefix).replace(".modules_to_save.default.", ".")
        for name in folders.tensor_names(path)
    }
    return names | tensor_names(base_of(path)) if adapters.is_adapter(path) else names


def read(path: Path, tensors: Callable[[Path], Stored]) -> tuple[dict[str, Any], Stored]:
    """Config and tensors, by their names without the model's prefix; the first BERTs' gamma and beta renamed.

    `tensors` reads a folder's, as torch's or numpy's. An adapter folder is read as its base with the adapter merged.
    """
    raw = described(path)
    prefix = f"{raw['model_type']}."
    if adapters.is_adapter(path):
        return raw, adapters.merged(path, read(base_of(path), tensors)[1], prefix)

    def plain(name: str) -> str:
        return re.sub(r"LayerNorm\.(gamma|beta)$", _of_norm, name.removeprefix(prefix))

    return raw, tensors(path).renamed(plain, path)


def _of_norm(name: re.Match[str]) -> str:
    return "LayerNorm.weight" if name[1] == "gamma" else "LayerNorm.bias"


def classifier_head(raw: Mapping[str, Any], stored: Stored, where: Path) -> HeadConfig:
    """The head of a `…ForSequenceClassification` folder. Raises BadCheckpoint where it has none."""
    kind = raw["model_type"]
    if CLASSIFIER.get(kind, {}).get("out", "classifier") + ".weight" not in stored:
        raise BadCheckpoint(f"{where} has no classification head; name a checkpoint fine-tuned to classify")
    return HeadConfig(
        n_outputs=len(labels(raw)),
        pool="mean" if raw.get("classifier_pooling") == "mean" else "first",
        activation="relu" if kind == "distilbert" else "tanh",
    )


def require_span_head(stored: Stored, where: Path) -> None:
    """Raises BadCheckpoint where a folder is no `…ForQuestionAnswering`."""
    if not any(name.startswith("qa_outputs.") for name in stored):
        raise BadCheckpoint(f"{where} has no question-answering head; name a checkpoint fine-tuned on SQuAD")


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
