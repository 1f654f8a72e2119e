"""Any server that writes down speech with OpenAI's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.audio.openai import OpenAITranscriber


def opens(found: Found) -> bool:
    return found.path is None


def open(found: Found) -> OpenAITranscriber:
    from genarium.engines.audio.openai import OpenAITranscriber

    return OpenAITranscriber(found.endpoint_model)


ENGINE = Engine("transcribe", opens, open, order=30)
