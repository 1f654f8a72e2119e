"""ModelScope's text-to-video, in diffusers' folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.video.modelscope import ModelScopeVideo


def opens(found: Found) -> bool:
    if found.path is None:
        return False
    from genarium.checkpoints.layouts.pipeline import INDEX, MODELSCOPE
    from genarium.checkpoints.store.folder import is_of

    return is_of(found.path / INDEX, MODELSCOPE)


def open(found: Found, *, dtype: str = "auto") -> ModelScopeVideo:
    from genarium.engines.video.modelscope import ModelScopeVideo

    assert found.path is not None
    return ModelScopeVideo(found.path, name=found.reference, dtype=dtype)


ENGINE = Engine("video", opens, open, order=20)
