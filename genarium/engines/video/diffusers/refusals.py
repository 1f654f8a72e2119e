"""The family of a folder's video pipeline, or one sentence that says what the folder is instead."""

from __future__ import annotations

import inspect
from typing import Any

from genarium.checkpoints.layouts.pipeline import PIPELINE
from genarium.engines.diffusers.library import library_class
from genarium.engines.video.diffusers.families import BY_CLASS, FAMILIES, VideoFamily
from genarium.errors import BadCheckpoint

PICTURES = "makes pictures, not videos (image is the task for those)"


def family_of(kind: str, name: str) -> VideoFamily:
    """Raises BadCheckpoint for a pipeline that is not run here, MissingPackage where diffusers is not installed."""
    if kind == PIPELINE:
        raise BadCheckpoint(f"{name} {PICTURES}")
    found = library_class(kind, name)
    if kind not in BY_CLASS:
        raise BadCheckpoint(
            f"{name} is a {kind}, which {_does(kind, found)}; run here are "
            f"{', '.join(family.name for family in FAMILIES)} and ModelScope text-to-video"
        )
    return BY_CLASS[kind]


def _does(name: str, kind: Any) -> str:
    """What a pipeline that is not run here does, by its name and what its call asks for."""
    call = inspect.signature(kind.__call__).parameters
    if not (call.keys() & {"num_frames", "video_length", "frames"} or "Video" in name or "video" in call):
        sound = any("audio" in key for key in call)
        return "makes sound, not videos" if sound else PICTURES
    if any(word in name for word in ("Control", "Adapter", "Transfer", "VACE")) or "control_video" in call:
        return "follows a control video or picture, which is not taken here"
    if "VideoToVideo" in name or _needs(call, "video"):
        return "changes a video that is given, which is not done here"
    if "Upsample" in name or "Upscale" in name:
        return "enlarges videos, which is not done here"
    if "vocoder" in inspect.signature(kind.__init__).parameters:
        return "makes videos with sound, which is not done here"
    return "is not among the video pipelines that are proven here"


def _needs(call: Any, name: str) -> bool:
    return name in call and call[name].default is inspect.Parameter.empty
