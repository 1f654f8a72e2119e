"""The family of a folder's pipeline, or one sentence that says what the folder is instead."""

from __future__ import annotations

import inspect
from typing import Any

from genarium.checkpoints.layouts.pipeline import VIDEO_PIPELINE
from genarium.engines.diffusers.library import library_class
from genarium.engines.image.diffusers.families import BY_CLASS, FAMILIES, Family
from genarium.errors import BadCheckpoint

VIDEOS = "makes videos, not pictures (video is the task for those)"


def family_of(kind: str, name: str) -> Family:
    """Raises BadCheckpoint for a pipeline that is not run here, MissingPackage where diffusers is not installed."""
    if kind == VIDEO_PIPELINE:
        raise BadCheckpoint(f"{name} {VIDEOS}")
    found = library_class(kind, name)
    if kind not in BY_CLASS:
        raise BadCheckpoint(
            f"{name} is a {kind}, which {_does(kind, found)}; run here are "
            f"{', '.join(family.name for family in FAMILIES)}"
        )
    return BY_CLASS[kind]


def _does(name: str, kind: Any) -> str:
    """What a pipeline that is not run here does, by its name and what its call asks for."""
    call = inspect.signature(kind.__call__).parameters
    needed = {key for key, value in call.items() if value.default is inspect.Parameter.empty}
    if "num_frames" in call or "Video" in name or "video_length" in call:
        return VIDEOS
    if any("audio" in key for key in call):
        return "makes sound, which is not made here"
    if "ControlNet" in name or "Adapter" in name or "control_image" in call:
        return "draws after a control image, which is not taken here"
    if any(word in name for word in ("Upscale", "SuperResolution")):
        return "enlarges images, which is not done here"
    if "Prior" in name or needed & {"image_embeds", "image_embeddings"}:
        return (
            "is one half of a pipeline and makes no pictures from a prompt: name a folder that holds both halves "
            "(a combined pipeline)"
        )
    if not {"prompt", "num_inference_steps"} <= call.keys():
        return "makes no pictures from a prompt in steps"
    return "is not among the pipelines that are proven here"
