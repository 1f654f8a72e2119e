"""A folder that draws pictures of prompts: which parts it is made of, and the parts themselves.

Two families are written and read: latent diffusion (`unet/`, `vae/`: diffusers' layout), and diffusion of thumbnails,
whose one network makes pictures too (`transformer/`: Genarium's own), by a planner's plans where there is one
(`planner/`). `model_index.json` names the parts.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from genarium.checkpoints.layouts import latent_diffusion, scheduler, thumbnails
from genarium.checkpoints.layouts import planner as planners
from genarium.checkpoints.layouts.pipeline import INDEX, PIPELINE
from genarium.checkpoints.store.folder import is_of, read_json
from genarium.diffusion.process import Process
from genarium.files import write_atomically
from genarium.models.plan import Planner
from genarium.models.thumbnails import Thumbnails, ThumbnailsConfig
from genarium.models.unet import UNet, UNetConfig
from genarium.models.vae import Autoencoder, AutoencoderConfig

PLANNER = "planner"
Denoiser = UNet | Thumbnails
Pictures = Autoencoder | Thumbnails
"""What makes maps of pictures, and pictures of maps."""


def is_text_to_image(path: Path) -> bool:
    return is_of(path / INDEX, PIPELINE)


def read_configs(path: Path) -> tuple[UNetConfig | ThumbnailsConfig, AutoencoderConfig | ThumbnailsConfig]:
    """Of what denoises and of what makes pictures, before any weights are read. Raises BadCheckpoint."""
    where = str(path)
    if (path / "transformer").is_dir():
        both = thumbnails.read_config(read_json(path / "transformer" / "config.json"), where)
        return both, both
    return (
        latent_diffusion.read_unet_config(read_json(path / "unet" / "config.json"), where),
        latent_diffusion.read_autoencoder_config(read_json(path / "vae" / "config.json"), where),
    )


def load(path: Path, *, device: str = "cpu") -> tuple[Denoiser, Pictures]:
    """What denoises, and what makes pictures: of thumbnails they are one. Raises BadCheckpoint."""
    if (path / "transformer").is_dir():
        both = thumbnails.load(path / "transformer", device=device)
        return both, both
    unet = latent_diffusion.load_unet(path / "unet", device=device)
    return unet, latent_diffusion.load_autoencoder(path / "vae", device=device)


def load_planner(path: Path, *, device: str = "cpu") -> Planner | None:
    """What plans its pictures, where there is one. Raises BadCheckpoint."""
    return planners.load(path / PLANNER, device=device) if (path / PLANNER).is_dir() else None


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
    planner: Planner | None = None,
) -> None:
    """The parts, in half precision, and how they go together.

    `process` is how the denoiser was trained, `text_encoder` the reference of the encoder that prompts are read with,
    `context` how many tokens of them, `steps` and `guidance` what it is best drawn with; `world` is `scenes` where it
    has seen composed scenes alone. `planner` is kept beside what draws by its plans.
    """
    parts: dict[str, list[str]] = {}
    if isinstance(denoiser, Thumbnails):
        thumbnails.save(denoiser, path / "transformer", dtype=torch.float16)
        parts["transformer"] = ["genarium", thumbnails.KIND]
    else:
        latent_diffusion.save_unet(denoiser, path / "unet", dtype=torch.float16)
        parts["unet"] = ["diffusers", "UNet2DConditionModel"]
    if isinstance(pictures, Autoencoder):
        latent_diffusion.save_autoencoder(pictures, path / "vae", dtype=torch.float16)
        parts["vae"] = ["diffusers", "AutoencoderKL"]
    if planner is not None:
        planners.save(planner, path / PLANNER, dtype=torch.float16)
        parts[PLANNER] = ["genarium", planners.KIND]
    scheduler.write(process, path / "scheduler")
    index = {
        "_class_name": PIPELINE,
        **parts,
        "scheduler": ["diffusers", scheduler.to_config(process)["_class_name"]],
        "sampler": process.sampler,  # a scheduler's config has no place for each of ours
        "text_encoder": text_encoder,
        "context": context,
        "steps": steps,
        "guidance": guidance,
        "world": world,
    }
    write_atomically(path / INDEX, json.dumps(index, indent=2).encode() + b"\n")
