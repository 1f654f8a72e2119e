"""The folders of a cascade <-> `models.dit` and `models.enlarger`: `transformer/` and `enlarger/`.

Both are Genarium's own: a `config.json` with the fields of their configs, and safetensors under the parameters' names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from genarium.checkpoints import folder as folders
from genarium.errors import BadCheckpoint
from genarium.models.dit import DiT, DiTConfig
from genarium.models.enlarger import Enlarger, EnlargerConfig

DENOISER, ENLARGER = "GenariumDiT", "GenariumEnlarger"
WEIGHTS = "diffusion_pytorch_model.safetensors"
C = TypeVar("C", DiTConfig, EnlargerConfig)


def load_dit(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> DiT:
    """The denoiser in a `transformer/` folder, in evaluation mode. Raises BadCheckpoint."""
    config = read_dit_config(folders.read_json(path / "config.json"), str(path))
    with torch.device("meta"):
        model = DiT(config)
    return _filled(model, path, dtype, device)


def load_enlarger(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Enlarger:
    """The enlarger in an `enlarger/` folder, in evaluation mode. Raises BadCheckpoint."""
    config = read_enlarger_config(folders.read_json(path / "config.json"), str(path))
    with torch.device("meta"):
        model = Enlarger(config)
    return _filled(model, path, dtype, device)


def save_dit(model: DiT, path: Path, *, dtype: torch.dtype = torch.float32) -> None:
    _save(model, path, {"_class_name": DENOISER} | asdict(model.config), dtype)


def save_enlarger(model: Enlarger, path: Path, *, dtype: torch.dtype = torch.float32) -> None:
    _save(model, path, {"_class_name": ENLARGER} | asdict(model.config), dtype)


def read_dit_config(raw: Mapping[str, Any], where: str) -> DiTConfig:
    """Raises BadCheckpoint where the config isn't that of a `DiT`."""
    if raw.get("_class_name") != DENOISER:
        raise BadCheckpoint(f"{where} does not hold a {DENOISER}")
    config = _config(DiTConfig, raw, where)
    if config.n_heads < 1 or config.d_model % (4 * config.n_heads):
        raise BadCheckpoint(f"{where}: a width of {config.d_model} can't be shared by {config.n_heads} heads")
    return config


def read_enlarger_config(raw: Mapping[str, Any], where: str) -> EnlargerConfig:
    """Raises BadCheckpoint where the config isn't that of an `Enlarger`."""
    if raw.get("_class_name") != ENLARGER or not isinstance(raw.get("network"), dict):
        raise BadCheckpoint(f"{where} does not hold a {ENLARGER}")
    network = read_dit_config({"_class_name": DENOISER, **raw["network"]}, where)
    config = _config(EnlargerConfig, {**raw, "network": network}, where)
    if network.out_channels != 3 * config.factor**2:
        raise BadCheckpoint(f"{where}: cells of {config.factor} pixels don't have {network.out_channels} numbers")
    return config


def _config(kind: type[C], raw: Mapping[str, Any], where: str) -> C:
    names = [field.name for field in fields(kind)]
    for name in names:
        if name not in raw:
            raise BadCheckpoint(f"{where}: config.json has no {name!r}; download the folder again")
    return kind(**{name: raw[name] for name in names})


M = TypeVar("M", bound=nn.Module)


def _filled(model: M, path: Path, dtype: torch.dtype, device: str) -> M:
    stored = folders.read_tensors(path, weights=WEIGHTS)
    folders.fill(model, lambda name: folders.require(stored, name, path), path, dtype, device)
    return model.requires_grad_(False).eval()


def _save(model: nn.Module, path: Path, config: Mapping[str, Any], dtype: torch.dtype) -> None:
    tensors = {
        name: tensor.detach().to("cpu", dtype).contiguous().clone() for name, tensor in model.state_dict().items()
    }
    folders.write(path, config, tensors, weights=WEIGHTS)
