"""CLIP folders <-> `models.clip`: transformers' `CLIPModel`, its tokenizer, and how it wants its pictures.

Names and shapes of tensors and of config entries are the published ones, so nothing is renamed here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from tokenizers import Tokenizer
from torch import Tensor

from genarium.checkpoints.fields.image_text import ClipFields, ClipTextFields, ClipVisionFields
from genarium.checkpoints.processors import image_processor
from genarium.checkpoints.processors import tokenizer as tokenizers
from genarium.checkpoints.processors.image_processor import Pixels
from genarium.checkpoints.store import folder as folders
from genarium.errors import BadCheckpoint
from genarium.files import write_atomically
from genarium.models.clip import CLIP, CLIPConfig, TextConfig, VisionConfig

T = TypeVar("T", TextConfig, VisionConfig)
PREPROCESSING = "preprocessor_config.json"


def load(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> CLIP:
    """The pair in a folder, in evaluation mode. Raises BadCheckpoint."""
    config = read_config(folders.read_config(path), str(path))
    with torch.device("meta"):
        model = CLIP(config)
    stored = folders.read_tensors(path)
    folders.fill(model, lambda name: folders.require(stored, name, path), path, dtype, device)
    stored.refuse_left_over(path)
    return model.requires_grad_(False).eval()


def load_tokenizer(path: Path, *, config: TextConfig) -> Tokenizer:
    """The tokenizer of a CLIP folder, or of any whose texts are to be read: cuts at the context, and pads after.

    Raises BadCheckpoint, also where it does not end a text as the config says.
    """
    if not (path / "tokenizer.json").exists():
        raise BadCheckpoint(f"{path} has no tokenizer.json; download the folder again, or let transformers write one")
    tokenizer = tokenizers.load(path, config.vocab_size)
    _cut_and_pad(tokenizer, config)
    ids = tokenizer.encode("a").ids
    end = max(ids) if config.eos_token_id == 2 else config.eos_token_id
    if ids[-1] != end:
        raise BadCheckpoint(f"{path}: its tokenizer does not end texts with token {end}, as its config.json says")
    return tokenizer


def reading_with(path: Path, *, context: int) -> tuple[TextConfig, Tokenizer]:
    """The text tower's config, but for its size, and the tokenizer, to read as the model in a folder does.

    Padding is more end tokens: the first one is where a text ends. Raises BadCheckpoint where the tokenizer does not
    mark ends, or marks them as the layout can't say.
    """
    tokenizer = tokenizers.load(path)
    ids = tokenizer.encode("a").ids
    begin, end = ids[0], ids[-1]
    if tokenizer.encode("b").ids[-1] != end or len(ids) < 3:
        raise BadCheckpoint(
            f"{path}: its tokenizer does not mark where texts begin and end; choose another --tokenizer"
        )
    if end == 2:
        raise BadCheckpoint(
            f"{path}: its texts end with token 2, which in CLIP's layout stands for another rule; "
            "choose another --tokenizer"
        )
    config = TextConfig(
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=context,
        bos_token_id=begin,
        eos_token_id=end,
        pad_token_id=end,
    )
    _cut_and_pad(tokenizer, config)
    return config, tokenizer


def read_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """Tokens (N, S) of texts, padding after the shorter."""
    return torch.tensor([row.ids for row in tokenizer.encode_batch(list(texts))])


def load_preprocessing(path: Path, size: int) -> Pixels:
    """What `preprocessor_config.json` says; `size` is the network's own. Raises BadCheckpoint, also for none."""
    folders.read_json(path / PREPROCESSING)
    return image_processor.read(path, size, usual="CLIPImageProcessor")


def save(
    model: CLIP,
    path: Path,
    tokenizer: Tokenizer,
    preprocessing: Pixels,
    *,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write the folder that transformers opens as `CLIPModel` and `CLIPProcessor`, and `load` opens."""
    config = write_config(model.config) | {"dtype": str(dtype).removeprefix("torch.")}
    folders.write(path, config, folders.tensors_of(model, dtype))
    write_atomically(
        path / PREPROCESSING, _json({"image_processor_type": "CLIPImageProcessor"} | preprocessing.as_json())
    )
    text = model.config.text_config
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.no_padding()
    plain.no_truncation()
    write_atomically(path / "tokenizer.json", plain.to_str(pretty=True).encode())
    # Not as the config has them: in the first folders its numbers are those of a quotation mark and the like.
    begin, *_, end = tokenizer.encode("a").ids
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    padding = text.pad_token_id if text.pad_token_id in special else end
    described: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": text.max_position_embeddings,
        "padding_side": "right",
        "model_input_names": ["input_ids", "attention_mask"],
        "bos_token": tokenizer.id_to_token(begin),
        "eos_token": tokenizer.id_to_token(end),
        "pad_token": tokenizer.id_to_token(padding),
    }
    write_atomically(path / "tokenizer_config.json", _json(described))


def read_config(raw: Mapping[str, Any], where: str) -> CLIPConfig:
    """The `CLIPConfig` a published `config.json` describes; BadCheckpoint where this network can't be it."""
    if raw["model_type"] != "clip":
        raise BadCheckpoint(f"{where} holds a {raw['model_type']}, not a clip")
    # The first folders say it all a second time under another name, and that one counts.
    text, vision = (raw.get(f"{name}_dict") or raw.get(name) or {} for name in ("text_config", "vision_config"))
    usual, pair = CLIPConfig(), ClipFields.read(raw, where)
    scale = raw.get("logit_scale_init_value")  # what training begins with: the weights have what counts
    return CLIPConfig(
        _tower(TextConfig, text, ClipTextFields, f"{where}: text_config"),
        _tower(VisionConfig, vision, ClipVisionFields, f"{where}: vision_config"),
        projection_dim=pair.projection_dim or usual.projection_dim,
        logit_scale_init_value=scale if isinstance(scale, float) else usual.logit_scale_init_value,
    )


def read_text_config(raw: Mapping[str, Any], where: str) -> TextConfig:
    """That of a text tower alone (`CLIPTextModel`). Raises BadCheckpoint."""
    return _tower(TextConfig, raw, ClipTextFields, where)


def write_config(config: CLIPConfig) -> dict[str, Any]:
    text, vision = asdict(config.text_config), asdict(config.vision_config)
    return {
        "model_type": "clip",
        "architectures": ["CLIPModel"],
        "projection_dim": config.projection_dim,
        "logit_scale_init_value": config.logit_scale_init_value,
        "text_config": {"model_type": "clip_text_model", "projection_dim": config.projection_dim} | text,
        "vision_config": {"model_type": "clip_vision_model", "projection_dim": config.projection_dim} | vision,
    }


def _tower(
    kind: type[T], raw: Mapping[str, Any], declared: type[ClipTextFields] | type[ClipVisionFields], where: str
) -> T:
    """What is not said is the default, as in transformers."""
    said = declared.read(raw, where)
    known = {field.name: raw[field.name] for field in fields(kind) if raw.get(field.name) is not None}
    return kind(**{name: getattr(said, name, value) for name, value in known.items()})


def _cut_and_pad(tokenizer: Tokenizer, config: TextConfig) -> None:
    tokenizer.enable_truncation(config.max_position_embeddings)
    tokenizer.enable_padding(pad_id=config.pad_token_id, pad_token=tokenizer.id_to_token(config.pad_token_id) or "")


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(content), indent=2).encode() + b"\n"
