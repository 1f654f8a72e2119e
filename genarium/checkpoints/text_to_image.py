"""A folder that draws pictures of prompts: which parts it is made of, and the parts themselves.

Two families are written and read: latent diffusion (`unet/`, `vae/`: diffusers' layout) and a cascade (`transformer/`,
`enlarger/`: Genarium's own). `model_index.json` names the parts.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from genarium.checkpoints import cascade, latent_diffusion, scheduler
from genarium.checkpoints.folder import read_json
from genarium.checkpoints.pipeline import INDEX
from genarium.diffusion.process import Process
from genarium.errors import BadCheckpoint
from genarium.files import write_atomically
from genarium.models.dit import DiT, DiTConfig
from genarium.models.enlarger import Enlarger, EnlargerConfig
from genarium.models.unet import UNet, UNetConfig
from genarium.models.vae import Autoencoder, AutoencoderConfig

PIPELINE = "GenariumTextToImage"
Denoiser = UNet | DiT
Pictures = Autoencoder | Enlarger
"""What makes maps of pictures, and pictures of maps."""


def is_text_to_image(path: Path) -> bool:
    try:
        return bool(read_json(path / INDEX).get("_class_name") == PIPELINE)
    except BadCheckpoint:
        return False


def read_configs(path: Path) -> tuple[UNetConfig | DiTConfig, AutoencoderConfig | EnlargerConfig]:
    """What the folder's two networks are, before any weights are read. Raises BadCheckpoint."""
    where = str(path)
    if (path / "transformer").is_dir():
        return (
            cascade.read_dit_config(read_json(path / "transformer" / "config.json"), where),
            cascade.read_enlarger_config(read_json(path / "enlarger" / "config.json"), where),
        )
    return (
        latent_diffusion.read_unet_config(read_json(path / "unet" / "config.json"), where),
        latent_diffusion.read_autoencoder_config(read_json(path / "vae" / "config.json"), where),
    )


def load_denoiser(path: Path, *, device: str = "cpu") -> Denoiser:
    """Raises BadCheckpoint."""
    if (path / "transformer").is_dir():
        return cascade.load_dit(path / "transformer", device=device)
    return latent_diffusion.load_unet(path / "unet", device=device)


def load_pictures(path: Path, *, device: str = "cpu") -> Pictures:
    """What the folder's denoiser makes pictures with. Raises BadCheckpoint."""
    enlarges = (path / "enlarger").is_dir()
    return load_part(path / ("enlarger" if enlarges else "vae"), device=device)


def load_part(path: Path, *, device: str = "cpu") -> Pictures:
    """An autoencoder or an enlarger, as `genarium train vae` or `train enlarger` wrote it. Raises BadCheckpoint."""
    if read_json(path / "config.json").get("_class_name") == cascade.ENLARGER:
        return cascade.load_enlarger(path, device=device)
    return latent_diffusion.load_autoencoder(path, device=device)


def write(
    path: Path,
    denoiser: Denoiser,
    pictures: Pictures,
    process: Process,
    *,
    text_encoder: str,
    context: int,
    steps: int,
    guidance: float,
    world: str | None = None,
) -> None:
    """The parts, in half precision, and how they go together.

    `process` is how the denoiser was trained, `text_encoder` the reference of the encoder that prompts are read with,
    `context` how many tokens of them, `steps` and `guidance` what it is best drawn with; `world` is `scenes` where it
    has seen composed scenes alone.
    """
    parts: dict[str, list[str]] = {}
    if isinstance(denoiser, DiT):
        cascade.save_dit(denoiser, path / "transformer", dtype=torch.float16)
        parts["transformer"] = ["genarium", cascade.DENOISER]
    else:
        latent_diffusion.save_unet(denoiser, path / "unet", dtype=torch.float16)
        parts["unet"] = ["diffusers", "UNet2DConditionModel"]
    if isinstance(pictures, Enlarger):
        cascade.save_enlarger(pictures, path / "enlarger", dtype=torch.float16)
        parts["enlarger"] = ["genarium", cascade.ENLARGER]
    else:
        latent_diffusion.save_autoencoder(pictures, path / "vae", dtype=torch.float16)
        parts["vae"] = ["diffusers", "AutoencoderKL"]
    scheduler.write(process, path / "scheduler")
    index = {
        "_class_name": PIPELINE,
        **parts,
        "scheduler": ["diffusers", scheduler.to_config(process)["_class_name"]],
        "text_encoder": text_encoder,
        "context": context,
        "steps": steps,
        "guidance": guidance,
        "world": world,
    }
    write_atomically(path / INDEX, json.dumps(index, indent=2).encode() + b"\n")
