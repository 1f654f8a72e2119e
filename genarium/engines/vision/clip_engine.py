"""CLIP: how well a text matches a picture, by their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine, model_type
from genarium.progress import emit

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.vision.match import ClipMatcher


def opens(found: Found) -> bool:
    from genarium.checkpoints.layouts.pipeline import is_pipeline

    return found.path is not None and not is_pipeline(found.path) and model_type(found) == "clip"


def open(found: Found) -> ClipMatcher:
    emit("loading", preview=found.reference)
    from genarium.engines.vision.match import ClipMatcher

    assert found.path is not None
    return ClipMatcher(found.path, name=found.reference)


ENGINE = Engine("match", opens, open, order=10)
