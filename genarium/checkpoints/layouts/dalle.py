"""The files of DALL·E mini and mega, as `kuprel/min-dalle` publishes them, to `models.dalle` and `models.vqgan`.

A folder holds `encoder`, `decoder`, `vocab.json`, `merges.txt` and `detoker`, the last one there or, as the package
`min-dalle` keeps it, in `vqgan/` beside the folder. On the hub mini's names end in `_mini`. There is no config:
every width and length is read off the tensors' shapes.

The weights are `.safetensors` or the published `.pt`, which are state dicts (see `checkpoints/store/state_dict.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from genarium.checkpoints.store import folder as folders
from genarium.checkpoints.store.state_dict import Shapes, read_shapes, read_state
from genarium.errors import BadCheckpoint
from genarium.models.dalle import DalleConfig, ImageDecoder, TextEncoder
from genarium.models.vqgan import VQGANConfig, VQGANDecoder

Network = TypeVar("Network", bound=nn.Module)

HEAD_WIDTH = 64  # of mini and of mega; the one number that no shape shows
SIZES = ("dalle_bart_mini", "dalle_bart_mega")  # the folders that the package makes


@dataclass(frozen=True)
class DalleFiles:
    """Where each part of one model is."""

    encoder: Path
    decoder: Path
    detoker: Path
    vocabulary: Path
    merges: Path

    def __iter__(self) -> Iterator[Path]:
        yield from (self.encoder, self.decoder, self.detoker, self.vocabulary, self.merges)


def opens(path: Path) -> bool:
    """Whether the folder looks like one of these, whole or not."""
    return bool(_sizes(path)) or any(_weights(path, f"decoder{suffix}") for suffix in ("", "_mini"))


def find_files(path: Path) -> DalleFiles:
    """The parts of the model in a folder. Raises BadCheckpoint where one is missing, or there are two models."""
    if inner := _sizes(path):
        if len(inner) > 1:
            raise BadCheckpoint(f"{path} holds mini and mega; name {inner[0]} or {inner[1]}")
        path = inner[0]
    suffixes = [suffix for suffix in ("", "_mini") if _weights(path, f"decoder{suffix}")]
    if len(suffixes) > 1:
        raise BadCheckpoint(f"{path} holds mini and mega; move the files of one, *_mini.*, to a folder of its own")
    suffix = suffixes[0] if suffixes else ""
    detoker = _weights(path, "detoker") or _weights(path.parent / "vqgan", "detoker")
    found = {
        f"encoder{suffix}.pt": _weights(path, f"encoder{suffix}"),
        f"decoder{suffix}.pt": _weights(path, f"decoder{suffix}"),
        "detoker.pt (here or in ../vqgan)": detoker,
        f"vocab{suffix}.json": _file(path / f"vocab{suffix}.json"),
        f"merges{suffix}.txt": _file(path / f"merges{suffix}.txt"),
    }
    if missing := [name for name, file in found.items() if file is None]:
        raise BadCheckpoint(f"{path}: of a min-dalle model {', '.join(missing)} is missing; download it again")
    return DalleFiles(*(file for file in found.values() if file is not None))


def _sizes(path: Path) -> list[Path]:
    return [path / name for name in SIZES if (path / name).is_dir()]


def _weights(path: Path, stem: str) -> Path | None:
    return _file(path / f"{stem}.safetensors") or _file(path / f"{stem}.pt")


def _file(path: Path) -> Path | None:
    return path if path.is_file() else None


def read_configs(files: DalleFiles) -> tuple[DalleConfig, VQGANConfig]:
    """What the tensors' shapes say. Raises BadCheckpoint where they are not of one model."""
    encoder, decoder = read_shapes(files.encoder), read_shapes(files.decoder)
    vqgan = vqgan_config(files.detoker)
    text, places = (_shape(encoder, f"embed_{part}.weight", files.encoder) for part in ("tokens", "positions"))
    image, squares = (_shape(decoder, f"embed_{part}.weight", files.decoder) for part in ("tokens", "positions"))
    config = DalleConfig(
        text_vocab_size=text[0],
        text_length=places[0],
        image_vocab_size=image[0],
        image_length=squares[0],
        n_codes=vqgan.n_codes,
        n_layers=_count(decoder, r"layers\.(\d+)\."),
        n_heads=text[1] // HEAD_WIDTH,
        d_model=text[1],
        d_ff=_shape(decoder, "layers.0.glu.fc0.weight", files.decoder)[0],
    )
    if text[1] % HEAD_WIDTH:
        raise BadCheckpoint(f"{files.encoder}: a width of {text[1]} is no multiple of {HEAD_WIDTH}, as it is in these")
    same = image[1] == text[1] and _count(encoder, r"layers\.(\d+)\.") == config.n_layers
    if not same or config.n_codes > image[0]:
        raise BadCheckpoint(
            f"{files.encoder}, {files.decoder} and {files.detoker} are not of one model; download them again"
        )
    if round(config.image_length**0.5) ** 2 != config.image_length:
        raise BadCheckpoint(f"{files.decoder}: {config.image_length} image tokens make no square; download it again")
    return config, vqgan


def vqgan_config(file: Path) -> VQGANConfig:
    """What the shapes in a `detoker` say. Raises BadCheckpoint."""
    state = read_shapes(file)
    n_levels = _count(state, r"decoder\.up\.(\d+)\.")
    widths = [_shape(state, f"decoder.up.{i}.block.0.conv2.weight", file)[0] for i in range(n_levels)]
    codes = _shape(state, "embedding.weight", file)
    if not widths:
        raise BadCheckpoint(f"{file} has no decoder.up, so it is no VQGAN; download it again")
    return VQGANConfig(
        n_codes=codes[0],
        d_code=codes[1],
        channels=widths[0],
        multipliers=tuple(width // widths[0] for width in widths),
        attends=tuple(f"decoder.up.{i}.attn.0.norm.weight" in state for i in range(n_levels)),
        n_blocks=_count(state, r"decoder\.up\.0\.block\.(\d+)\."),
    )


def _shape(state: Shapes, name: str, file: Path) -> tuple[int, ...]:
    if name not in state:
        raise BadCheckpoint(f"{file}: the weights lack {name}; download it again")
    return state[name]


def _count(state: Shapes, pattern: str) -> int:
    found = [int(match[1]) for name in state if (match := re.match(pattern, name))]
    return max(found, default=-1) + 1


def load_encoder(files: DalleFiles, config: DalleConfig, dtype: torch.dtype, device: str) -> TextEncoder:
    """In evaluation mode. Raises BadCheckpoint where a tensor is missing, of another shape or not a number."""
    with torch.device("meta"):
        model = TextEncoder(config)
    return _fill(model, files.encoder, dtype, device)


def load_decoder(files: DalleFiles, config: DalleConfig, dtype: torch.dtype, device: str) -> ImageDecoder:
    """As `load_encoder`."""
    with torch.device("meta"):
        model = ImageDecoder(config)
    return _fill(model, files.decoder, dtype, device)


def load_vqgan(file: Path, config: VQGANConfig, device: str) -> VQGANDecoder:
    """As `load_encoder`, in float32, as published."""
    with torch.device("meta"):
        model = VQGANDecoder(config)
    state = read_state(file)

    def fetch(name: str) -> Tensor:
        return folders.require(state, name.replace("conv_shortcut", "nin_shortcut"), file)

    folders.fill(model, fetch, file, torch.float32, device, described_by="the rest of it")
    return model.requires_grad_(False).eval()


def _fill(model: Network, file: Path, dtype: torch.dtype, device: str) -> Network:
    state = read_state(file)
    folders.fill(model, lambda name: _fetch(state, name, file), file, dtype, device, described_by="the rest of it")
    return model.requires_grad_(False).eval()


def _fetch(state: Mapping[str, Tensor], name: str, file: Path) -> Tensor:
    names = published_names(name)
    if name.endswith(UNSCALED) and names[0] not in state:
        # The published files were made from norms without a scale, and leave it out.
        return torch.ones_like(folders.require(state, names[0].replace("weight", "bias"), file))
    return folders.stacked(state, names, file)


UNSCALED = (
    "attention_norm.weight",
    "text_attention_norm.weight",
    "glu.norm.weight",
    "glu.gated_norm.weight",
    "final_norm.weight",
)
OUTER = {
    "embedding": "embed_tokens",
    "position_embedding": "embed_positions",
    "embedding_norm": "layernorm_embedding",
    "final_norm": "final_ln",
    "head": "lm_head",
}
INNER = {
    "attention_norm": "pre_self_attn_layer_norm",
    "attention.qkv": "self_attn.q_proj self_attn.k_proj self_attn.v_proj",
    "attention.out": "self_attn.out_proj",
    "attended_norm": "self_attn_layer_norm",
    "text_attention_norm": "pre_encoder_attn_layer_norm",
    "text_attention.q": "encoder_attn.q_proj",
    "text_attention.kv": "encoder_attn.k_proj encoder_attn.v_proj",
    "text_attention.out": "encoder_attn.out_proj",
    "text_attended_norm": "encoder_attn_layer_norm",
    "glu.norm": "glu.ln0",
    "glu.gate_up": "glu.fc0 glu.fc1",
    "glu.gated_norm": "glu.ln1",
    "glu.down": "glu.fc2",
}


def published_names(name: str) -> list[str]:
    """What our parameter is called in the published files: several, stacked, where ours is fused."""
    module, leaf = name.rsplit(".", 1)
    if not module.startswith("blocks."):
        return [f"{OUTER[module]}.{leaf}"]
    _, layer, inner = module.split(".", 2)
    return [f"layers.{layer}.{part}.{leaf}" for part in INNER[inner].split()]
