"""Video pipelines that have no engine of their own, on the diffusers library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine
from genarium.extras import require

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.video.diffusers.engine import DiffusersVideo


def opens(found: Found) -> bool:
    if found.path is None:
        return False
    from genarium.checkpoints.layouts.pipeline import kind_of
    from genarium.engines.video.diffusers.families import BY_CLASS

    return kind_of(found.path) in BY_CLASS


def open(found: Found, *, dtype: str = "auto") -> DiffusersVideo:
    require(found.reference, "diffusers")
    from genarium.engines.video.diffusers.engine import DiffusersVideo

    assert found.path is not None
    return DiffusersVideo(found.path, name=found.reference, dtype=dtype)


def refusal(found: Found) -> str | None:
    if found.path is None:
        return None
    from genarium.checkpoints.layouts.pipeline import is_pipeline, kind_of
    from genarium.checkpoints.store.foreign import describe_folder

    if is_pipeline(found.path):
        from genarium.engines.video.diffusers.refusals import family_of

        family_of(kind_of(found.path), found.reference)
    if what := describe_folder(found.path):
        return f"{found.reference} {what}"
    return (
        f"{found.reference} is no folder that makes videos: it has no model_index.json (a diffusers pipeline); "
        "name one such as Lightricks/LTX-Video, or starter/video"
    )


ENGINE = Engine("video", opens, open, order=90, refusal=refusal)
