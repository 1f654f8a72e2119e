"""Diffusion of latents or thumbnails, as Genarium trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.image.latent import LatentImage


def opens(found: Found) -> bool:
    if found.path is None:
        return False
    from genarium.checkpoints.layouts.pipeline import INDEX, PIPELINE
    from genarium.checkpoints.store.folder import is_of

    return is_of(found.path / INDEX, PIPELINE)


def open(found: Found, *, dtype: str = "auto") -> LatentImage:
    from genarium.engines.image.latent import LatentImage

    assert found.path is not None
    return LatentImage(found.path, name=found.reference, dtype=dtype)


ENGINE = Engine("image", opens, open, order=10)
