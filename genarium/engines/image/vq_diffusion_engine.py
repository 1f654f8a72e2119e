"""VQ-Diffusion folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.image.vq_diffusion import VQDiffusionImage


def opens(found: Found) -> bool:
    if found.path is None:
        return False
    from genarium.checkpoints.layouts.pipeline import INDEX, VQ_DIFFUSION, is_pipeline
    from genarium.checkpoints.store.folder import read_json

    return is_pipeline(found.path) and read_json(found.path / INDEX).get("_class_name") == VQ_DIFFUSION


def open(found: Found, *, dtype: str = "auto") -> VQDiffusionImage:
    from genarium.engines.image.vq_diffusion import VQDiffusionImage

    assert found.path is not None
    return VQDiffusionImage(found.path, name=found.reference, dtype=dtype)


ENGINE = Engine("image", opens, open, order=30)
