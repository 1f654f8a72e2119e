"""Clips in layers by a planner's plans, as Genarium trains them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.video.layered import LayeredVideo


def opens(found: Found) -> bool:
    if found.path is None:
        return False
    from genarium.checkpoints.layouts.pipeline import INDEX, VIDEO_PIPELINE
    from genarium.checkpoints.store.folder import is_of

    return is_of(found.path / INDEX, VIDEO_PIPELINE)


def open(found: Found, *, dtype: str = "auto") -> LayeredVideo:
    from genarium.engines.video.layered import LayeredVideo

    assert found.path is not None
    return LayeredVideo(found.path, name=found.reference, dtype=dtype)


ENGINE = Engine("video", opens, open, order=10)
