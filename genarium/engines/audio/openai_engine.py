"""Any server that speaks with OpenAI's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genarium.engines.engine import Engine

if TYPE_CHECKING:
    from genarium.checkpoints.store.find import Found
    from genarium.engines.audio.openai import OpenAISpeech


def opens(found: Found) -> bool:
    return found.path is None


def open(found: Found) -> OpenAISpeech:
    from genarium.engines.audio.openai import OpenAISpeech

    return OpenAISpeech(found.endpoint_model)


ENGINE = Engine("speak", opens, open, order=30)
