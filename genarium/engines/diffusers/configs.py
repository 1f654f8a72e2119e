"""The configs of a pipeline's folder: of its denoiser, its decoder, and what is not written in them."""

from __future__ import annotations

import inspect
from typing import Any

from genarium.checkpoints.layouts.pipeline import Pipeline

DENOISERS = ("unet", "transformer", "transformer_2")
DECODERS = ("vae", "vqvae", "movq")


def denoiser_of(folder: Pipeline) -> dict[str, Any]:
    return next((folder.configs[name] for name in DENOISERS if name in folder.configs), {})


def decoder_of(folder: Pipeline) -> dict[str, Any]:
    return next((folder.configs[name] for name in DECODERS if name in folder.configs), {})


def setting(config: dict[str, Any], name: str) -> Any:
    """The value in a network's config, or the one that its class takes where there is none."""
    if name in config:
        return config[name]
    import diffusers

    kind = getattr(diffusers, str(config.get("_class_name")), None)
    found = inspect.signature(kind.__init__).parameters.get(name) if kind is not None else None
    return None if found is None or found.default is inspect.Parameter.empty else found.default
