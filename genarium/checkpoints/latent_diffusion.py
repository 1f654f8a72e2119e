"""The folders of a latent diffusion model <-> `models.unet` and `models.vae`: diffusers' `unet/` and `vae/`.

Published names and shapes are those of `UNet2DConditionModel` and `AutoencoderKL`; of the former, the kinds of block
that Stable Diffusion 1 and 2 are made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genarium.checkpoints import folder as folders
from genarium.errors import BadCheckpoint
from genarium.models.unet import UNet, UNetConfig
from genarium.models.vae import Autoencoder, AutoencoderConfig

WEIGHTS = "diffusion_pytorch_model.safetensors"
# Native name -> published name; the others are the same.
UNET_NAMES = {"to_out": "to_out.0", "ff.up_gate": "ff.net.0.proj", "ff.down": "ff.net.2"}
VAE_NAMES = {"to_out": "to_out.0"}
# What the autoencoder's attention was called before diffusers 0.17, and still is in published folders.
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
# Features of UNet2DConditionModel this U-Net does not have, and the value that means they are not used.
UNUSED: dict[str, tuple[Any, ...]] = {
    "class_embed_type": (None,),
    "addition_embed_type": (None,),
    "encoder_hid_dim_type": (None,),
    "time_embedding_type": ("positional",),
    "time_cond_proj_dim": (None,),
    "resnet_time_scale_shift": ("default",),
    "mid_block_type": ("UNetMidBlock2DCrossAttn",),
    "act_fn": ("silu",),
    "conv_in_kernel": (3,),
    "conv_out_kernel": (3,),
    "dual_cross_attention": (False,),
    "only_cross_attention": (False,),
    "transformer_layers_per_block": (1,),
    "mid_block_scale_factor": (1, 1.0),
    "center_input_sample": (False,),
    "downsample_padding": (1,),
    "attention_type": ("default",),
}


def load_unet(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> UNet:
    """The denoiser in a `unet/` folder, in evaluation mode. Raises BadCheckpoint."""
    config = read_unet_config(_config(path, "UNet2DConditionModel"), str(path))
    with torch.device("meta"):
        model = UNet(config)
    stored = _tensors(path)
    folders.fill(model, lambda name: folders.require(stored, _published(name, UNET_NAMES), path), path, dtype, device)
    return model.requires_grad_(False).eval()


def load_autoencoder(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Autoencoder:
    """The autoencoder in a `vae/` folder, in evaluation mode. Raises BadCheckpoint."""
    config = read_autoencoder_config(_config(path, "AutoencoderKL"), str(path))
    with torch.device("meta"):
        model = Autoencoder(config)
    stored = {}
    for name, tensor in _tensors(path).items():
        *stem, leaf, kind = name.rsplit(".", 2)
        if stem and stem[0].endswith("attentions.0") and leaf in OLD_ATTENTION:
            # The oldest folders have the attention's matrices as 1x1 convolutions.
            matrix = tensor[:, :, 0, 0] if tensor.dim() == 4 else tensor
            stored[f"{stem[0]}.{OLD_ATTENTION[leaf]}.{kind}"] = matrix
        else:
            stored[name] = tensor
    folders.fill(model, lambda name: folders.require(stored, _published(name, VAE_NAMES), path), path, dtype, device)
    return model.requires_grad_(False).eval()


def save_unet(model: UNet, path: Path, *, dtype: torch.dtype = torch.float32) -> None:
    _save(model, path, write_unet_config(model.config), UNET_NAMES, dtype)


def save_autoencoder(model: Autoencoder, path: Path, *, dtype: torch.dtype = torch.float32) -> None:
    _save(model, path, write_autoencoder_config(model.config), VAE_NAMES, dtype)


def read_unet_config(raw: Mapping[str, Any], where: str) -> UNetConfig:
    """The `UNetConfig` a published `config.json` describes; BadCheckpoint where this network can't be it."""
    for name, values in UNUSED.items():
        if raw.get(name, values[0]) not in values:
            raise BadCheckpoint(f"{where}: the native U-Net does not know {name} {raw[name]!r}; open it with diffusers")
    try:
        down, up = list(raw["down_block_types"]), list(raw["up_block_types"])
        attention = tuple(kind == "CrossAttnDownBlock2D" for kind in down)
        expected = [("CrossAttnUpBlock2D" if with_words else "UpBlock2D") for with_words in reversed(attention)]
        known = {"CrossAttnDownBlock2D", "DownBlock2D"}
        if set(down) - known or up != expected:
            raise BadCheckpoint(f"{where}: the native U-Net does not know these blocks: {down}, {up}")
        # Its name is history: up to Stable Diffusion 2 this counts heads.
        heads = raw.get("num_attention_heads") or raw.get("attention_head_dim", 8)
        levels = len(down)
        return UNetConfig(
            in_channels=raw["in_channels"],
            out_channels=raw["out_channels"],
            sample_size=raw.get("sample_size") or 64,
            block_out_channels=tuple(raw["block_out_channels"]),
            attention=attention,
            layers_per_block=raw["layers_per_block"],
            heads=tuple(heads) if isinstance(heads, list | tuple) else (heads,) * levels,
            cross_attention_dim=raw["cross_attention_dim"],
            norm_num_groups=raw.get("norm_num_groups", 32),
            norm_eps=raw.get("norm_eps", 1e-5),
            use_linear_projection=raw.get("use_linear_projection", False),
            flip_sin_to_cos=raw.get("flip_sin_to_cos", True),
            freq_shift=raw.get("freq_shift", 0),
            dropout=raw.get("dropout", 0.0),
        )
    except KeyError as missing:
        raise BadCheckpoint(f"{where}: config.json has no {missing.args[0]!r}; download the folder again") from None


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
    kinds = {*raw.get("down_block_types", ()), *raw.get("up_block_types", ())}
    if kinds - {"DownEncoderBlock2D", "UpDecoderBlock2D"} or raw.get("act_fn", "silu") != "silu":
        raise BadCheckpoint(f"{where}: the native autoencoder does not know {sorted(kinds)}; open it with diffusers")
    if bool(raw.get("use_quant_conv", True)) != bool(raw.get("use_post_quant_conv", True)) or raw.get("latents_mean"):
        raise BadCheckpoint(
            f"{where}: the native autoencoder does not know this mix of options; open it with diffusers"
        )
    try:
        return AutoencoderConfig(
            in_channels=raw["in_channels"],
            out_channels=raw["out_channels"],
            latent_channels=raw["latent_channels"],
            block_out_channels=tuple(raw["block_out_channels"]),
            layers_per_block=raw["layers_per_block"],
            norm_num_groups=raw.get("norm_num_groups", 32),
            mid_block_attention=raw.get("mid_block_add_attention", True),
            sample_size=raw.get("sample_size", 512),
            scaling_factor=raw.get("scaling_factor", 0.18215),
            shift_factor=raw.get("shift_factor") or 0.0,
            quant_conv=raw.get("use_quant_conv", True),
        )
    except KeyError as missing:
        raise BadCheckpoint(f"{where}: config.json has no {missing.args[0]!r}; download the folder again") from None


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


def _tensors(path: Path) -> dict[str, Tensor]:
    return folders.read_tensors(path, weights=WEIGHTS)


def _published(name: str, names: Mapping[str, str]) -> str:
    module, _, leaf = name.rpartition(".")
    for native, published in names.items():
        if module.endswith("." + native):
            return f"{module.removesuffix(native)}{published}.{leaf}"
    return name


def _save(
    model: UNet | Autoencoder, path: Path, config: Mapping[str, Any], names: Mapping[str, str], dtype: torch.dtype
) -> None:
    tensors = {_published(name, names): tensor for name, tensor in folders.tensors_of(model, dtype).items()}
    folders.write(path, config, tensors, weights=WEIGHTS)
