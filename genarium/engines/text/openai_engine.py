"""Any server that speaks OpenAI's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine
from genarium.progress import note

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.text.openai import OpenAIText


def opens(found: Found) -> bool:
    return found.path is None


def open(found: Found, *, dtype: str = "auto") -> OpenAIText:
    from genarium.engines.text.openai import OpenAIText

    if dtype != "auto":
        note(f"{found.reference} computes in what its endpoint chooses: dtype {dtype} was left out")
    return OpenAIText(found.endpoint_model)


ENGINE = Engine("text", opens, open, order=20)
