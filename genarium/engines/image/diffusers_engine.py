"""All other text-to-image pipelines, on the diffusers library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine
from genarium.extras import require

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.image.diffusers import DiffusersImage


def opens(found: Found) -> bool:
    if found.path is None:
        return False
    from genarium.checkpoints.layouts.pipeline import MODELSCOPE, VIDEO_PIPELINE, is_pipeline, kind_of
    from genarium.engines.video.diffusers.families import BY_CLASS

    return is_pipeline(found.path) and kind_of(found.path) not in (*BY_CLASS, MODELSCOPE, VIDEO_PIPELINE)


def open(found: Found, *, dtype: str = "auto") -> DiffusersImage:
    require(found.reference, "diffusers")
    from genarium.engines.image.diffusers import DiffusersImage

    assert found.path is not None
    return DiffusersImage(found.path, name=found.reference, dtype=dtype)


def refusal(found: Found) -> str:
    if found.path is None:
        return f"{found.reference} is behind an endpoint; name a model that is on this machine"
    from genarium.checkpoints.layouts.pipeline import is_pipeline, kind_of
    from genarium.checkpoints.store.foreign import describe_folder

    if is_pipeline(found.path):
        from genarium.engines.image.diffusers.refusals import family_of

        family_of(kind_of(found.path), found.reference)
    if what := describe_folder(found.path):
        return f"{found.reference} {what}"
    return (
        f"{found.reference} is no folder that makes pictures: it has no model_index.json (a diffusers pipeline); "
        "name one such as CompVis/stable-diffusion-v1-4, or starter/image"
    )


ENGINE = Engine("image", opens, open, order=90, refusal=refusal)
