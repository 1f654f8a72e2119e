"""BLIP folders in transformers' layout <-> `models.blip`, both ways.

`BlipForConditionalGeneration` is a `Captioner`, `BlipForImageTextRetrieval` a `Matcher`: `config.json`,
`model.safetensors`, `tokenizer.json`, and `preprocessor_config.json` for how pictures are brought to the network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from genarium.checkpoints.fields.image_text import BlipFields, BlipTextFields, BlipVisionFields
from genarium.checkpoints.layouts import vit
from genarium.checkpoints.layouts.encoder_config import of_fields
from genarium.checkpoints.layouts.encoder_names import BERT_BLOCK
from genarium.checkpoints.processors.image_processor import Pixels
from genarium.checkpoints.store import folder as folders
from genarium.errors import BadCheckpoint
from genarium.files import write_atomically
from genarium.models.blip import BlipConfig, BlipForMatching, Captioner

M = TypeVar("M", Captioner, BlipForMatching)
TIED = {"out.weight": "text.embedding.weight"}

OUTPUT = {
    "text_decoder.cls.predictions.decoder.weight": "text_decoder.bert.embeddings.word_embeddings.weight",
    "text_decoder.cls.predictions.decoder.bias": "text_decoder.cls.predictions.bias",
}

Kind = Literal["captioner", "matcher"]


def kind_of(path: Path) -> Kind | None:
    """Which of the two a folder is, by the names of its weights; None for neither. Raises BadCheckpoint."""
    if folders.read_config(path)["model_type"] != "blip":
        return None
    names = folders.tensor_names(path)
    if any(name.startswith("itm_head.") for name in names):
        return "matcher"
    if any(name.startswith("text_decoder.") for name in names) and not any(
        name.startswith("text_encoder.") for name in names
    ):
        return "captioner"
    return None


def load_captioner(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Captioner:
    """Frozen, in evaluation mode. Raises BadCheckpoint where a part is missing, damaged or of another shape."""
    if kind_of(path) != "captioner":
        raise BadCheckpoint(f"{path} is no BLIP captioner (BlipForConditionalGeneration); name a folder that is")
    with torch.device("meta"):
        model = Captioner(read_config(folders.read_config(path), str(path)))
    return _filled(model, path, dtype, device, TIED)


def load_matcher(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> BlipForMatching:
    """Frozen, in evaluation mode. Raises BadCheckpoint where a part is missing, damaged or of another shape."""
    if kind_of(path) != "matcher":
        raise BadCheckpoint(f"{path} is no BLIP matcher (BlipForImageTextRetrieval); name a folder that is")
    with torch.device("meta"):
        model = BlipForMatching(read_config(folders.read_config(path), str(path)))
    return _filled(model, path, dtype, device, {})


def save(model: Captioner | BlipForMatching, path: Path, pixels: Pixels, *, dtype: torch.dtype | None = None) -> None:
    """Write the config, the weights and how pictures are brought to them; the tokenizer is the caller's to add."""
    weights = next(model.parameters()).dtype if dtype is None else dtype
    tied = TIED if isinstance(model, Captioner) else {}
    tensors: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if name in tied:
            continue
        names = published_names(name, model)
        for part, piece in zip(names, tensor.detach().to("cpu", weights).chunk(len(names)), strict=True):
            tensors[part] = piece.contiguous().clone().reshape(_published_shape(name, piece))
    described = write_config(model.config) | {
        "architectures": [
            "BlipForConditionalGeneration" if isinstance(model, Captioner) else "BlipForImageTextRetrieval"
        ],
        "dtype": str(weights).removeprefix("torch."),
    }
    folders.write(path, described, tensors)
    described_pixels = pixels.as_json() | {
        "image_processor_type": "BlipImageProcessor",
        "processor_class": "BlipProcessor",
    }
    write_atomically(path / "preprocessor_config.json", json.dumps(described_pixels, indent=2).encode() + b"\n")


def read_config(raw: Mapping[str, Any], where: str) -> BlipConfig:
    """The `BlipConfig` a published `config.json` describes. What it leaves out is as in transformers' classes."""
    pair = BlipFields.read(raw, where)
    text = BlipTextFields.read(pair.text_config or {}, f"{where}: text_config")
    image = BlipVisionFields.read(pair.vision_config or {}, f"{where}: vision_config")
    return BlipConfig(
        image=vit.read_config(image),
        text=of_fields(
            text,
            context_length=text.max_position_embeddings,
            n_types=0,
            dropout=text.hidden_dropout_prob,
            pooler=False,
        ),
        start_token=text.bos_token_id,
        end_token=text.sep_token_id,
        projection=pair.image_text_hidden_size,
    )


def write_config(config: BlipConfig) -> dict[str, Any]:
    """The published `config.json`."""
    published = {"gelu_tanh": "gelu_pytorch_tanh"}
    text, image = config.text, config.image
    return {
        "model_type": "blip",
        "image_text_hidden_size": config.projection,
        "tie_word_embeddings": True,
        "text_config": {
            "model_type": "blip_text_model",
            "vocab_size": text.vocab_size,
            "hidden_size": text.d_model,
            "encoder_hidden_size": image.d_model,
            "intermediate_size": text.d_ff,
            "num_hidden_layers": text.n_layers,
            "num_attention_heads": text.n_heads,
            "max_position_embeddings": text.context_length,
            "hidden_act": published.get(text.activation, text.activation),
            "layer_norm_eps": text.norm_eps,
            "hidden_dropout_prob": text.dropout,
            "attention_probs_dropout_prob": 0.0,
            "bos_token_id": config.start_token,
            "eos_token_id": config.end_token,
            "sep_token_id": config.end_token,
            "pad_token_id": 0,
            "is_decoder": True,
        },
        "vision_config": {
            "model_type": "blip_vision_model",
            "image_size": image.image_size,
            "patch_size": image.patch_size,
            "num_hidden_layers": image.n_layers,
            "num_attention_heads": image.n_heads,
            "hidden_size": image.d_model,
            "intermediate_size": image.d_ff,
            "layer_norm_eps": image.norm_eps,
            "hidden_act": published.get(image.activation, image.activation),
            "attention_dropout": 0.0,
        },
    }


# Native name -> published names, within a block.
IMAGE_BLOCK = {
    "attention.qkv": ("self_attn.qkv",),
    "attention.out": ("self_attn.projection",),
    **vit.BLOCK,
}
TEXT_BLOCK = {
    **BERT_BLOCK,
    "cross.q": ("crossattention.self.query",),
    "cross.kv": ("crossattention.self.key", "crossattention.self.value"),
    "cross.out": ("crossattention.output.dense",),
    "cross_norm": ("crossattention.output.LayerNorm",),
}
TEXT_TOP = {
    "embedding": "embeddings.word_embeddings",
    "position_embedding": "embeddings.position_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
}
HEADS = {
    "dense": "text_decoder.cls.predictions.transform.dense",
    "norm": "text_decoder.cls.predictions.transform.LayerNorm",
    "image_projection": "vision_proj",
    "text_projection": "text_proj",
    "match": "itm_head",
}
IMAGE = {
    "image.class_embedding": "vision_model.embeddings.class_embedding",
    "image.position_embedding": "vision_model.embeddings.position_embedding",
    "image.patch_embedding.weight": "vision_model.embeddings.patch_embedding.weight",
    "image.patch_embedding.bias": "vision_model.embeddings.patch_embedding.bias",
    "image.norm.weight": "vision_model.post_layernorm.weight",
    "image.norm.bias": "vision_model.post_layernorm.bias",
    "out.bias": "text_decoder.cls.predictions.bias",
}


def published_names(name: str, model: Captioner | BlipForMatching) -> list[str]:
    """The published tensors that together, one under the other, are a native one."""
    if name in IMAGE:
        return [IMAGE[name]]
    module, _, leaf = name.rpartition(".")
    side, _, inner = module.partition(".")
    if side not in ("image", "text"):
        return [f"{HEADS[module]}.{leaf}"]
    text = "text_decoder.bert" if isinstance(model, Captioner) else "text_encoder"
    if inner in TEXT_TOP:
        return [f"{text}.{TEXT_TOP[inner]}.{leaf}"]
    _, index, part = inner.split(".", 2)
    if side == "image":
        return [f"vision_model.encoder.layers.{index}.{IMAGE_BLOCK[part][0]}.{leaf}"]
    return [f"{text}.encoder.layer.{index}.{one}.{leaf}" for one in TEXT_BLOCK[part]]


def _published_shape(name: str, tensor: Tensor) -> tuple[int, ...]:
    """The class token and the positions have axes of one in front."""
    return (1,) * AXES_IN_FRONT.get(name, 0) + tuple(tensor.shape)


AXES_IN_FRONT = {"image.class_embedding": 2, "image.position_embedding": 1}


def _filled(model: M, path: Path, dtype: torch.dtype, device: str, tied: Mapping[str, str]) -> M:
    stored = folders.read_tensors(path)

    def fetch(name: str) -> Tensor:
        tensor = folders.stacked(stored, published_names(name, model), path)
        for _ in range(AXES_IN_FRONT.get(name, 0)):
            tensor = tensor[0] if len(tensor.shape) and len(tensor) == 1 else tensor
        return tensor

    folders.fill(model, fetch, path, dtype, device, tied=tied)
    for own, same in OUTPUT.items():  # stored a second time by some
        if own in stored and not torch.equal(stored[own], folders.require(stored, same, path)):
            raise BadCheckpoint(f"{path}: {own} is not {same}, as its config.json says; run it with transformers")
    stored.refuse_left_over(path)
    return model.requires_grad_(False).eval()
