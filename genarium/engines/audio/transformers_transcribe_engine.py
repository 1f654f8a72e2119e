"""Whisper in transformers' layout, on that library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine, model_type
from genarium.extras import require

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.audio.transformers_models import TransformersWhisper


def opens(found: Found) -> bool:
    if found.path is None or not (found.path / "config.json").is_file():
        return False
    return model_type(found) == "whisper"


def open(found: Found) -> TransformersWhisper:
    require(found.reference, "transformers")
    from genarium.engines.audio.transformers_models import TransformersWhisper

    assert found.path is not None
    return TransformersWhisper(found.path, name=found.reference)


ENGINE = Engine("transcribe", opens, open, order=60)
