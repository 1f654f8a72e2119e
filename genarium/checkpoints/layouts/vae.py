"""The folder of a VAE with a vector of latents: no published layout has it, so its config is its own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from genarium.checkpoints.store import folder as folders
from genarium.errors import BadCheckpoint
from genarium.models.vae import VAE, VAEConfig

MODEL_TYPE = "vector_vae"


def load(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> VAE:
    """The VAE in a folder, in evaluation mode. Raises BadCheckpoint."""
    raw = folders.read_config(path)
    if raw["model_type"] != MODEL_TYPE:
        raise BadCheckpoint(f"{path} holds a {raw['model_type']}, not a {MODEL_TYPE}")
    try:
        config = VAEConfig(raw["channels"], raw["size"], tuple(raw["widths"]), raw["latent"])
    except KeyError as missing:
        raise BadCheckpoint(f"{path}: config.json has no {missing.args[0]!r}; write the folder again") from None
    with torch.device("meta"):
        model = VAE(config)
    stored = folders.read_tensors(path)
    folders.fill(model, lambda name: folders.require(stored, name, path), path, dtype, device)
    return model.requires_grad_(False).eval()


def save(model: VAE, path: Path) -> None:
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    folders.write(path, {"model_type": MODEL_TYPE} | asdict(model.config), tensors)
