"""The folders of a latent diffusion model <-> `models.unet` and `models.vae`: diffusers' `unet/` and `vae/`.

Published names and shapes are those of `UNet2DConditionModel` and `AutoencoderKL`; of the former, the kinds of block
that Stable Diffusion 1 and 2 are made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from genarium.checkpoints.fields import diffusion as fields
from genarium.checkpoints.store import folder as folders
from genarium.checkpoints.store.tensors import Stored
from genarium.errors import BadCheckpoint
from genarium.models.latent_diffusion import LatentDiffusion, LatentDiffusionConfig
from genarium.models.unet import UNet, UNetConfig
from genarium.models.vae import Autoencoder, AutoencoderConfig

WEIGHTS = "diffusion_pytorch_model.safetensors"
# Native name -> published name; the others are the same.
UNET_NAMES = {"to_out": "to_out.0", "ff.up_gate": "ff.net.0.proj", "ff.down": "ff.net.2"}
VAE_NAMES = {"to_out": "to_out.0"}
# What the autoencoder's attention was called before diffusers 0.17, and still is in published folders.
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def read_config(path: Path) -> LatentDiffusionConfig:
    """Of a folder with `unet/` and `vae/`, before any weights are read. Raises BadCheckpoint."""
    return LatentDiffusionConfig(
        read_unet_config(folders.read_json(path / "unet" / "config.json"), str(path)),
        read_autoencoder_config(folders.read_json(path / "vae" / "config.json"), str(path)),
    )


def load(path: Path, *, device: str = "cpu") -> LatentDiffusion:
    """The networks of a folder with `unet/` and `vae/`, in evaluation mode. Raises BadCheckpoint."""
    return LatentDiffusion(
        load_unet(path / "unet", device=device),
        load_autoencoder(path / "vae", device=device),
    )


def save(model: LatentDiffusion, path: Path, *, dtype: torch.dtype = torch.float32) -> dict[str, list[str]]:
    """The parts' entries in `model_index.json`."""
    save_unet(model.denoiser, path / "unet", dtype=dtype)
    save_autoencoder(model.autoencoder, path / "vae", dtype=dtype)
    return {"unet": ["diffusers", model.kind], "vae": ["diffusers", "AutoencoderKL"]}


def load_unet(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> UNet:
    """The denoiser in a `unet/` folder, in evaluation mode. Raises BadCheckpoint."""
    config = read_unet_config(_config(path, "UNet2DConditionModel"), str(path))
    with torch.device("meta"):
        model = UNet(config)
    stored = folders.read_tensors(path, weights=WEIGHTS)
    folders.fill(model, lambda name: folders.require(stored, published(name, UNET_NAMES), path), path, dtype, device)
    stored.refuse_left_over(path)
    return model.requires_grad_(False).eval()


def load_autoencoder(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Autoencoder:
    """The autoencoder in a `vae/` folder, in evaluation mode. Raises BadCheckpoint."""
    config = read_autoencoder_config(_config(path, "AutoencoderKL"), str(path))
    return autoencoder_of(config, folders.read_tensors(path, weights=WEIGHTS), path, dtype, device)


def autoencoder_of(
    config: AutoencoderConfig, tensors: Stored, path: Path, dtype: torch.dtype, device: str
) -> Autoencoder:
    """The autoencoder of all these tensors, in evaluation mode. Raises BadCheckpoint."""
    with torch.device("meta"):
        model = Autoencoder(config)
    stored = tensors.renamed(_todays_name, path)
    # The oldest folders have the attention's matrices as 1x1 convolutions.
    for name, tensor in list(stored.items()):
        if ".attentions.0." in name and tensor.dim() == 4:
            stored[name] = tensor[:, :, 0, 0]
    folders.fill(model, lambda name: folders.require(stored, published(name, VAE_NAMES), path), path, dtype, device)
    stored.refuse_left_over(path)
    return model.requires_grad_(False).eval()


def save_unet(model: UNet, path: Path, *, dtype: torch.dtype = torch.float32) -> None:
    _save(model, path, write_unet_config(model.config), UNET_NAMES, dtype)


def save_autoencoder(model: Autoencoder, path: Path, *, dtype: torch.dtype = torch.float32) -> None:
    _save(model, path, write_autoencoder_config(model.config), VAE_NAMES, dtype)


def levels_with_words(said: fields.UNetFields | fields.UNet3DFields, where: str) -> tuple[bool, ...]:
    """Which levels of a U-Net look at words, full size first. Raises BadCheckpoint for blocks not known here."""
    attention = tuple(kind.startswith("CrossAttn") for kind in said.down_block_types)
    expected = tuple(kind.replace("Down", "Up") for kind in reversed(said.down_block_types))
    if said.up_block_types != expected:
        raise BadCheckpoint(
            f"{where}: the native U-Net does not know these blocks: {list(said.down_block_types)}, "
            f"{list(said.up_block_types)}"
        )
    return attention


def read_unet_config(raw: Mapping[str, Any], where: str) -> UNetConfig:
    """The `UNetConfig` a published `config.json` describes; BadCheckpoint where this network can't be it."""
    said = fields.UNetFields.read(raw, where)
    attention = levels_with_words(said, where)
    # Its name is history: up to Stable Diffusion 2 this counts heads.
    heads, levels = said.attention_head_dim, len(attention)
    require_levels(where, levels, block_out_channels=said.block_out_channels, attention_head_dim=heads)
    return UNetConfig(
        in_channels=said.in_channels,
        out_channels=said.out_channels,
        sample_size=said.sample_size or 64,
        block_out_channels=said.block_out_channels,
        attention=attention,
        layers_per_block=said.layers_per_block,
        heads=heads if isinstance(heads, tuple) else (heads,) * levels,
        cross_attention_dim=said.cross_attention_dim,
        norm_num_groups=said.norm_num_groups,
        norm_eps=said.norm_eps,
        use_linear_projection=said.use_linear_projection,
        flip_sin_to_cos=said.flip_sin_to_cos,
        freq_shift=said.freq_shift,
        dropout=said.dropout,
    )


def write_unet_config(config: UNetConfig) -> dict[str, Any]:
    down = ["CrossAttnDownBlock2D" if with_words else "DownBlock2D" for with_words in config.attention]
    up = ["CrossAttnUpBlock2D" if with_words else "UpBlock2D" for with_words in reversed(config.attention)]
    return {
        "_class_name": "UNet2DConditionModel",
        "sample_size": config.sample_size,
        "in_channels": config.in_channels,
        "out_channels": config.out_channels,
        "down_block_types": down,
        "up_block_types": up,
        "block_out_channels": list(config.block_out_channels),
        "layers_per_block": config.layers_per_block,
        "attention_head_dim": list(config.heads),
        "cross_attention_dim": config.cross_attention_dim,
        "norm_num_groups": config.norm_num_groups,
        "norm_eps": config.norm_eps,
        "use_linear_projection": config.use_linear_projection,
        "flip_sin_to_cos": config.flip_sin_to_cos,
        "freq_shift": int(config.freq_shift) if config.freq_shift == int(config.freq_shift) else config.freq_shift,
        "dropout": config.dropout,
        "act_fn": "silu",
    }


def read_autoencoder_config(raw: Mapping[str, Any], where: str) -> AutoencoderConfig:
    """The `AutoencoderConfig` a published `config.json` describes; BadCheckpoint where this network can't be it."""
    said = fields.AutoencoderFields.read(raw, where)
    if said.use_quant_conv != said.use_post_quant_conv:
        raise BadCheckpoint(
            f"{where}: config.json has use_quant_conv {said.use_quant_conv} and use_post_quant_conv "
            f"{said.use_post_quant_conv}, and the native autoencoder has both or none; open it with diffusers"
        )
    levels = len(said.down_block_types)
    require_levels(where, levels, up_block_types=said.up_block_types, block_out_channels=said.block_out_channels)
    return AutoencoderConfig(
        in_channels=said.in_channels,
        out_channels=said.out_channels,
        latent_channels=said.latent_channels,
        block_out_channels=said.block_out_channels,
        layers_per_block=said.layers_per_block,
        norm_num_groups=said.norm_num_groups,
        mid_block_attention=said.mid_block_add_attention,
        sample_size=said.sample_size,
        scaling_factor=said.scaling_factor,
        shift_factor=said.shift_factor or 0.0,
        quant_conv=said.use_quant_conv,
    )


def require_levels(where: str, levels: int, **fields_of_levels: Any) -> None:
    """BadCheckpoint where a field that has a value a level has more or fewer."""
    for name, value in fields_of_levels.items():
        if isinstance(value, tuple) and len(value) != levels:
            raise BadCheckpoint(
                f"{where}: config.json has {len(value)} {name} for {levels} down_block_types; download the folder again"
            )


def write_autoencoder_config(config: AutoencoderConfig) -> dict[str, Any]:
    levels = len(config.block_out_channels)
    return {
        "_class_name": "AutoencoderKL",
        "in_channels": config.in_channels,
        "out_channels": config.out_channels,
        "latent_channels": config.latent_channels,
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "block_out_channels": list(config.block_out_channels),
        "layers_per_block": config.layers_per_block,
        "norm_num_groups": config.norm_num_groups,
        "mid_block_add_attention": config.mid_block_attention,
        "sample_size": config.sample_size,
        "scaling_factor": config.scaling_factor,
        "shift_factor": config.shift_factor,
        "use_quant_conv": config.quant_conv,
        "use_post_quant_conv": config.quant_conv,
        "act_fn": "silu",
    }


def _config(path: Path, kind: str) -> dict[str, Any]:
    raw = folders.read_json(path / "config.json")
    if raw.get("_class_name") != kind:
        raise BadCheckpoint(f"{path} does not hold a {kind}")
    return raw


def _todays_name(name: str) -> str:
    """What a tensor of the autoencoder is called since diffusers 0.17."""
    *stem, leaf, kind = name.rsplit(".", 2)
    if stem and stem[0].endswith("attentions.0") and leaf in OLD_ATTENTION:
        return f"{stem[0]}.{OLD_ATTENTION[leaf]}.{kind}"
    return name


def published(name: str, names: Mapping[str, str]) -> str:
    """The published name of a native parameter; `names` are those of modules that are called otherwise."""
    module, _, leaf = name.rpartition(".")
    for native, published in names.items():
        if module.endswith("." + native):
            return f"{module.removesuffix(native)}{published}.{leaf}"
    return name


def _save(
    model: UNet | Autoencoder, path: Path, config: Mapping[str, Any], names: Mapping[str, str], dtype: torch.dtype
) -> None:
    tensors = {published(name, names): tensor for name, tensor in folders.tensors_of(model, dtype).items()}
    folders.write(path, config, tensors, weights=WEIGHTS)
