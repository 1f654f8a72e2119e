"""Any server that speaks OpenAI's protocol for videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine
from genarium.extras import require
from genarium.progress import note

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.video.openai import OpenAIVideo


def opens(found: Found) -> bool:
    return found.path is None


def open(found: Found, *, dtype: str = "auto") -> OpenAIVideo:
    from genarium.engines.video.openai import OpenAIVideo

    require(found.reference, "av")
    if dtype != "auto":
        note(f"{found.reference} computes in what its endpoint chooses: dtype {dtype} was left out")
    return OpenAIVideo(found.endpoint_model)


ENGINE = Engine("video", opens, open, order=30)
