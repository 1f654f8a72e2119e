"""All video pipelines but those of an engine of their own, on the diffusers library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine
from genarium.extras import require

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.video.diffusers import DiffusersVideo


def opens(found: Found) -> bool:
    if found.path is None:
        return False
    from genarium.checkpoints.layouts.pipeline import is_pipeline

    return is_pipeline(found.path)


def open(found: Found, *, dtype: str = "auto") -> DiffusersVideo:
    require(found.reference, "diffusers")
    from genarium.engines.video.diffusers import DiffusersVideo

    assert found.path is not None
    return DiffusersVideo(found.path, name=found.reference, dtype=dtype)


def refusal(found: Found) -> str | None:
    if found.path is None:
        return None
    from genarium.checkpoints.store.foreign import describe_folder

    if what := describe_folder(found.path):
        return f"{found.reference} {what}"
    return (
        f"{found.reference} is no folder that makes videos: it has no model_index.json (a diffusers pipeline); "
        "name one such as Lightricks/LTX-Video, or starter/video"
    )


ENGINE = Engine("video", opens, open, order=90, refusal=refusal)
