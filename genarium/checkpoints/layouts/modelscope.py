"""The folder of ModelScope's text-to-video as diffusers writes it (`TextToVideoSDPipeline`) <-> native networks.

`damo-vilab/text-to-video-ms-1.7b` and its like: `unet/` (`models.unet3d`), `vae/` (`models.vae`), `text_encoder/` (the
text tower of `models.clip`), `tokenizer/`, `scheduler/`. Weights may be safetensors, a file or shards, plain or of the
variants bf16 and fp16, or the state dicts that the folder was first published with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from genarium.checkpoints.fields import diffusion as fields
from genarium.checkpoints.layouts import clip, scheduler
from genarium.checkpoints.layouts.latent_diffusion import (
    UNET_NAMES,
    autoencoder_of,
    levels_with_words,
    published,
    read_autoencoder_config,
    require_levels,
)
from genarium.checkpoints.layouts.pipeline import MODELSCOPE, Pipeline, read_pipeline
from genarium.checkpoints.processors import tokenizer as tokenizers
from genarium.checkpoints.processors import tokenizer_config, tokenizer_files
from genarium.checkpoints.store import folder as folders
from genarium.checkpoints.store.state_dict import read_own
from genarium.checkpoints.store.tensors import Stored
from genarium.diffusion.process import Process
from genarium.errors import BadCheckpoint
from genarium.models.clip import TextConfig, TextTower
from genarium.models.unet3d import UNet3D, UNet3DConfig
from genarium.models.vae import Autoencoder, AutoencoderConfig

CLASSES = {"unet": "UNet3DConditionModel", "vae": "AutoencoderKL", "text_encoder": "CLIPTextModel"}
OTHERS = ("scheduler", "tokenizer")
# Native name -> published name of what the U-Net of images doesn't have; the others are the same.
NAMES = UNET_NAMES | {
    f"conv{number}.{part}": f"conv{number}.{place}"
    for number in (1, 2, 3, 4)
    # After the norm a SiLU, and in all but the first a dropout.
    for part, place in (("norm", 0), ("conv", 2 if number == 1 else 3))
}


@dataclass(frozen=True)
class ModelScopeConfig:
    """What the configs of its parts say, before any weights are read."""

    folder: Pipeline
    unet: UNet3DConfig
    autoencoder: AutoencoderConfig
    text: TextConfig
    context: int  # tokens of a prompt, the marks of beginning and end among them
    process: Process


def read_config(path: Path) -> ModelScopeConfig:
    """Of a folder, every part checked to be there and to fit the others. Raises BadCheckpoint."""
    folder = read_pipeline(path, state_dicts=True)
    _require_parts(folder)
    configs = folder.configs
    unet = read_unet_config(configs["unet"], f"{path}: unet")
    autoencoder = read_autoencoder_config(configs["vae"], f"{path}: vae")
    text = clip.read_text_config(configs["text_encoder"], f"{path}: text_encoder")
    if unet.cross_attention_dim != text.hidden_size:
        raise BadCheckpoint(
            f"{path}: its unet reads words {unet.cross_attention_dim} numbers wide, and its text_encoder gives "
            f"{text.hidden_size}; the folder mixes parts of two models, so download it again"
        )
    if not unet.in_channels == unet.out_channels == autoencoder.latent_channels:
        raise BadCheckpoint(
            f"{path}: its unet reads {unet.in_channels} channels and gives {unet.out_channels}, and its vae has "
            f"{autoencoder.latent_channels}; the folder mixes parts of two models, so download it again"
        )
    longest = tokenizer_config.read(path / "tokenizer").max_length
    context = min(longest or text.max_position_embeddings, text.max_position_embeddings)
    return ModelScopeConfig(folder, unet, autoencoder, text, context, scheduler.read(path / "scheduler"))


def read_unet_config(raw: Mapping[str, Any], where: str) -> UNet3DConfig:
    """The `UNet3DConfig` a published `config.json` describes; BadCheckpoint where this network can't be it."""
    said = fields.UNet3DFields.read(raw, where)
    attention = levels_with_words(said, where)
    widths, head = said.block_out_channels, said.attention_head_dim
    require_levels(where, len(attention), block_out_channels=widths)
    if odd := [width for width in widths if width % head or width % said.norm_num_groups]:
        raise BadCheckpoint(
            f"{where}: config.json has block_out_channels {odd[0]}, which are no whole number of heads of {head} and "
            f"of {said.norm_num_groups} groups; download the folder again"
        )
    return UNet3DConfig(
        in_channels=said.in_channels,
        out_channels=said.out_channels,
        sample_size=said.sample_size or 32,
        block_out_channels=widths,
        attention=attention,
        layers_per_block=said.layers_per_block,
        heads=tuple(width // head for width in widths),
        attention_head_dim=head,
        cross_attention_dim=said.cross_attention_dim,
        norm_num_groups=said.norm_num_groups,
        norm_eps=said.norm_eps,
    )


def load_unet(config: ModelScopeConfig, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> UNet3D:
    """The denoiser, in evaluation mode, every tensor used. Raises BadCheckpoint."""
    path, stored = config.folder.path / "unet", _stored(config, "unet")
    with torch.device("meta"):
        model = UNet3D(config.unet)

    def fetch(name: str) -> torch.Tensor:
        tensor = folders.require(stored, published(name, NAMES), path)
        along_time = tensor.dim() == 5 and tensor.shape[3:] == (1, 1)
        return tensor[..., 0] if along_time else tensor

    folders.fill(model, fetch, path, dtype, device)
    stored.refuse_left_over(path)
    return model.requires_grad_(False).eval()


def load_autoencoder(
    config: ModelScopeConfig, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Autoencoder:
    """The autoencoder, in evaluation mode, every tensor used. Raises BadCheckpoint."""
    return autoencoder_of(config.autoencoder, _stored(config, "vae"), config.folder.path / "vae", dtype, device)


def load_text_encoder(config: ModelScopeConfig, *, device: str = "cpu") -> TextTower:
    """The text encoder in float32, in evaluation mode, every tensor used. Raises BadCheckpoint."""
    path = config.folder.path / "text_encoder"
    # transformers wrote the names under `text_model.` up to its version 4.
    stored = _stored(config, "text_encoder").renamed(lambda name: name.removeprefix("text_model."), path)
    with torch.device("meta"):
        model = TextTower(config.text)
    folders.fill(model, lambda name: folders.require(stored, name, path), path, torch.float32, device)
    stored.refuse_left_over(path)
    return model.requires_grad_(False).eval()


def load_tokenizer(config: ModelScopeConfig) -> Tokenizer:
    """Cuts prompts at the context, and fills shorter ones to it, as the network was trained. Raises BadCheckpoint."""
    path = config.folder.path / "tokenizer"
    tokenizer = tokenizers.load(path, config.text.vocab_size)
    padding = tokenizer_files.special_tokens(path, {}).get("pad_token", "")
    number = tokenizer.token_to_id(padding)
    if number is None:
        raise BadCheckpoint(f"{path}: its vocabulary has no pad_token {padding!r}; download the folder again")
    tokenizer.enable_truncation(config.context)
    tokenizer.enable_padding(pad_id=number, pad_token=padding, length=config.context)
    return tokenizer


def _require_parts(folder: Pipeline) -> None:
    """Raises BadCheckpoint where a part is missing, of another class, or more than is read here."""
    if missing := [name for name in (*CLASSES, *OTHERS) if name not in folder.classes]:
        raise BadCheckpoint(
            f"{folder.path}: of a {MODELSCOPE} {', '.join(missing)} is missing; download the folder again"
        )
    for name, (_, kind) in folder.classes.items():
        if name not in CLASSES and name not in OTHERS:
            raise BadCheckpoint(f"{folder.path} has a part {name} ({kind}), which a {MODELSCOPE} does not read")
        if name in CLASSES and kind != CLASSES[name]:
            raise BadCheckpoint(f"{folder.path}: its {name} is a {kind}, and read here is a {CLASSES[name]}")
    if folder.configs["text_encoder"].get("use_attention_mask"):
        raise BadCheckpoint(f"{folder.path}: its text_encoder has use_attention_mask, which is not run here")


def _stored(config: ModelScopeConfig, part: str) -> Stored:
    """Every tensor of a part by its published name. Raises BadCheckpoint."""
    stored = Stored()
    for file in config.folder.parts[part].files:
        more = read_own(file)
        if twice := stored.keys() & more.keys():
            raise BadCheckpoint(f"{file.parent}: two of its files hold {min(twice)}; download the folder again")
        stored.update(more)
    return stored
