"""Folders that draw thumbnails and the pictures of them <-> `models.thumbnails`.

`transformer/` is the network; `planner/`, where there is one, writes the plans that it draws by. Both are Genarium's
own: a `config.json` with the fields of the configs, and safetensors under the parameters' names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from genarium.checkpoints.layouts import planner as planners
from genarium.checkpoints.layouts.latent_diffusion import WEIGHTS
from genarium.checkpoints.layouts.planner import read_words
from genarium.checkpoints.store import folder as folders
from genarium.errors import BadCheckpoint
from genarium.models.dit import DiTConfig
from genarium.models.thumbnails import ThumbnailDiffusion, Thumbnails, ThumbnailsConfig

KIND = ThumbnailDiffusion.kind
NETWORK, PLANNER = "transformer", "planner"


def read_folder(path: Path) -> ThumbnailsConfig:
    """Of a folder with `transformer/`, before any weights are read. Raises BadCheckpoint."""
    return read_config(folders.read_json(path / NETWORK / "config.json"), str(path))


def load_folder(path: Path, *, device: str = "cpu") -> ThumbnailDiffusion:
    """The networks of a folder with `transformer/`, in evaluation mode. Raises BadCheckpoint."""
    network = load(path / NETWORK, device=device)
    if not (path / PLANNER).is_dir():
        return ThumbnailDiffusion(network)
    planner = planners.load(path / PLANNER, device=device)
    read, written = network.config, planner.config
    if (read.plan, read.cross_attention_dim) != (written.words, written.cross_attention_dim):
        raise BadCheckpoint(f"{path}: its planner's plans can't be read by its transformer; get it again")
    return ThumbnailDiffusion(network, planner)


def save_folder(model: ThumbnailDiffusion, path: Path, *, dtype: torch.dtype = torch.float32) -> dict[str, list[str]]:
    """The parts' entries in `model_index.json`."""
    save(model.denoiser, path / NETWORK, dtype=dtype)
    parts = {NETWORK: ["genarium", KIND]}
    if model.planner is not None:
        planners.save(model.planner, path / PLANNER, dtype=dtype)
        parts[PLANNER] = ["genarium", planners.KIND]
    return parts


def load(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Thumbnails:
    """The model in a folder, in evaluation mode. Raises BadCheckpoint."""
    config = read_config(folders.read_json(path / "config.json"), str(path))
    with torch.device("meta"):
        model = Thumbnails(config)
    stored = folders.read_tensors(path, weights=WEIGHTS)
    folders.fill(model, lambda name: folders.require(stored, name, path), path, dtype, device)
    return model.requires_grad_(False).eval()


def save(model: Thumbnails, path: Path, *, dtype: torch.dtype = torch.float32) -> None:
    config = {"_class_name": KIND} | asdict(model.config)
    folders.write(path, config, folders.tensors_of(model, dtype), weights=WEIGHTS)


def read_config(raw: Mapping[str, Any], where: str) -> ThumbnailsConfig:
    """Raises BadCheckpoint where the config isn't one of these, or its numbers don't fit each other."""
    if raw.get("_class_name") != KIND or not isinstance(raw.get("network"), dict):
        raise BadCheckpoint(f"{where} does not hold a {KIND}")
    network = DiTConfig(**_named(DiTConfig, raw["network"], where))
    # Those made before there were plans, or layers, don't name them.
    plan = read_words(raw["plan"], where) if raw.get("plan") else None
    config = ThumbnailsConfig(
        **_named(ThumbnailsConfig, {"channels": 3, **raw, "network": network, "plan": plan}, where)
    )
    if network.n_heads < 1 or network.d_model % (4 * network.n_heads):
        raise BadCheckpoint(f"{where}: a width of {network.d_model} can't be shared by {network.n_heads} heads")
    channels = config.channels
    if (network.in_channels, network.out_channels) != (channels + 1, channels * config.factor**2 + 1):
        raise BadCheckpoint(f"{where}: cells of {config.factor} pixels don't have {network.out_channels} numbers")
    if plan is not None and plan.side != network.sample_size:
        raise BadCheckpoint(f"{where}: plans of {plan.side} cells a side don't fit maps of {network.sample_size}")
    return config


def _named(kind: type, raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    names = [field.name for field in fields(kind)]
    for name in names:
        if name not in raw:
            raise BadCheckpoint(f"{where}: config.json has no {name!r}; download the folder again")
    return {name: raw[name] for name in names}
