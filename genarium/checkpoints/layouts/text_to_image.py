"""A folder that draws what prompts say: `model_index.json`, which names its parts, and what the parts have in common.

The class of one part says which family's layout the networks have (`LAYOUT`s of the capability `image`, such as
`latent_diffusion_layout.py`); this knows none by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from genarium.checkpoints import layouts
from genarium.checkpoints.layouts import Layout, scheduler
from genarium.checkpoints.layouts.pipeline import INDEX, PIPELINE
from genarium.checkpoints.store.folder import is_of, read_json
from genarium.diffusion.process import Process
from genarium.errors import BadCheckpoint
from genarium.files import write_atomically
from genarium.models.text_to_image import TextToImage, TextToImageConfig


def is_text_to_image(path: Path) -> bool:
    return is_of(path / INDEX, PIPELINE)


def kind_of(path: Path) -> str:
    """The published name of its denoiser's class, which is what its family is known by. Raises BadCheckpoint."""
    named = _classes(read_json(path / INDEX))
    for kind in named:
        if layouts.of("image", kind) is not None:
            return kind
    raise BadCheckpoint(
        f"{path} is made of {', '.join(named) or 'nothing that is named'}; what draws here is one of "
        f"{', '.join(layouts.model_types('image'))}"
    )


def read_config(path: Path) -> TextToImageConfig:
    """Of its networks, before any weights are read. Raises BadCheckpoint."""
    config: TextToImageConfig = _layout(kind_of(path)).read_config(path)  # type: ignore[misc]
    return config


def load(path: Path, *, device: str = "cpu") -> TextToImage:
    """Its networks, in evaluation mode. Raises BadCheckpoint."""
    model: TextToImage = _layout(kind_of(path)).load(path, device=device)
    return model


def write(
    path: Path,
    model: TextToImage,
    process: Process,
    *,
    text_encoder: str,
    context: int,
    steps: int,
    guidance: float,
    world: str | None = None,
    pipeline: str = PIPELINE,
) -> None:
    """The parts, in half precision, and how they go together.

    `process` is how the denoiser was trained, `text_encoder` the reference of the encoder that prompts are read with,
    `context` how many tokens of them, `steps` and `guidance` what it is best drawn with; `world` is the one that it
    has seen alone, by its name in `scenes.worlds`, and `pipeline` the index's class.
    """
    parts: dict[str, list[str]] = _layout(model.kind).save(model, path, dtype=torch.float16)  # type: ignore[misc]
    scheduler.write(process, path / "scheduler")
    index = {
        "_class_name": pipeline,
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


def _layout(kind: str) -> Layout:
    layout = layouts.of("image", kind)
    if layout is None or layout.read_config is None or layout.save is None:
        raise BadCheckpoint(f"the layout of {kind} can't be read and written whole; its package has to be mended")
    return layout


def _classes(index: Mapping[str, Any]) -> list[str]:
    return [str(value[1]) for value in index.values() if isinstance(value, list) and len(value) == 2]
